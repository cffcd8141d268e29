"""`python -m agent` is `chargerd`."""

from agent.app import main

raise SystemExit(main())
