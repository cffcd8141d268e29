"""The card reader on a real pty: cards are told once, noise never."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hal.config import ReaderConfig
from hal.ports import Alive, Silent, TokenPresented
from hal.reader import Reader
from tests.hal.wires import Pty, Told, run, until


class Scene:
    def __init__(self, tmp_path: Path) -> None:
        self.line = Pty(tmp_path / "ttyS3", lambda data: None)
        self.now = 0
        self.told = Told()
        self.reader = Reader(
            ReaderConfig("front", self.line.path, evses=(1, 2)), self.told.append, lambda: self.now
        )

    def tokens(self) -> list[str]:
        return [e.uid for e in self.told if isinstance(e, TokenPresented)]

    async def hears_noise(self) -> None:
        """Everything sent so far has been heard."""
        before = self.reader.noise
        self.line.send(b"zz\r")
        await until(lambda: self.reader.noise > before)


def story(tmp_path: Path, tell: Callable[[Scene], Awaitable[None]]) -> None:
    async def whole() -> None:
        scene = Scene(tmp_path)
        scene.reader.open()
        await tell(scene)
        scene.reader.close()

    run(whole)


def test_a_card_is_told_with_the_evses_of_its_reader(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        scene.line.send(b"04aabbccdd")
        scene.line.send(b"eeff\r\n")
        await until(scene.tokens)
        assert TokenPresented("front", "04AABBCCDDEEFF", evses=(1, 2)) in scene.told

    story(tmp_path, tell)


def test_a_card_held_to_the_reader_is_told_once_and_again_after_it_was_away(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        for scene.now in (0, 2000, 4000, 6000):
            scene.line.send(b"04AABBCC\r")
            await scene.hears_noise()
        assert scene.tokens() == ["04AABBCC"]
        scene.now = 9000
        scene.line.send(b"04AABBCC\r")
        await until(lambda: len(scene.tokens()) == 2)
        scene.line.send(b"04AABBCD\r")
        await until(lambda: len(scene.tokens()) == 3)

    story(tmp_path, tell)


@pytest.mark.parametrize(
    "noise", [b"\xff\xfe\x00\r", b"04AABB\r", b"04AABBCCDD\r", b"hello\r", b"x" * 500, b"04AABBCC" * 4 + b"\r"]
)
def test_noise_is_counted_and_the_next_card_is_read(tmp_path: Path, noise: bytes) -> None:
    async def tell(scene: Scene) -> None:
        scene.line.send(noise)
        await until(lambda: scene.reader.noise)
        scene.line.send(b"\r04AABBCC\r")
        await until(scene.tokens)
        assert scene.tokens() == ["04AABBCC"]

    story(tmp_path, tell)


def test_a_reader_that_is_unplugged_is_told(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        assert scene.told == [Alive(0, "reader", "front")]
        scene.line.vanish()
        await until(lambda: Silent(0, "reader", "front") in scene.told)
        scene.line.plug()
        await until(lambda: isinstance(scene.told[-1], Alive))
        scene.line.send(b"04AABBCC\r")
        await until(scene.tokens)

    story(tmp_path, tell)
