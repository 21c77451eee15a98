"""How far long work is: plain lines where nobody looks at a terminal, a bar where somebody does."""

import io

from rich.console import Console

from maestro_gym.evaluation.progress import WorkProgress


class Clock:
    """A clock that a test turns on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_pipe_gets_a_line_now_and_then_with_speed_news_and_the_time_that_is_left() -> None:
    clock, console = Clock(), Console(file=io.StringIO())
    with WorkProgress("learning", "decisions", 8000, console=console, line_every_s=5, clock=clock) as shown:
        shown.update(note="validation SLO 50.0%")
        clock.now_s += 60  # compiling: not counted in the speed
        shown.update(1000)
        for done in (2000, 3000, 4000):
            clock.now_s += 2.5
            shown.update(done)
    assert _lines(console) == [
        "learning: 1,000 of 8,000 decisions, validation SLO 50.0%",
        "learning: 3,000 of 8,000 decisions, 400 decisions/s, validation SLO 50.0%, 0:12 left",
    ]


def test_the_end_is_always_a_line() -> None:
    clock, console = Clock(), Console(file=io.StringIO())
    with WorkProgress("comparing", "episodes", 3, console=console, line_every_s=5, clock=clock) as shown:
        for done in (1, 2, 3):
            shown.update(done)
            clock.now_s += 0.5
    assert _lines(console) == ["comparing: 1 of 3 episodes", "comparing: 3 of 3 episodes, 2.00 episodes/s"]


def test_a_pipe_hears_what_goes_on_while_nothing_is_counted() -> None:
    clock, console = Clock(), Console(file=io.StringIO())
    with WorkProgress("learning", "decisions", 9, console=console, line_every_s=5, clock=clock) as shown:
        shown.tell("validating")
    assert _lines(console) == ["learning: validating"]


def test_what_an_earlier_session_has_done_does_not_count_as_speed() -> None:
    clock, console = Clock(), Console(file=io.StringIO())
    with WorkProgress("learning", "decisions", 900, console=console, line_every_s=0, clock=clock) as shown:
        shown.update(500)
        clock.now_s += 10
        shown.update(600)
    assert _lines(console)[-1] == "learning: 600 of 900 decisions, 10 decisions/s, 0:30 left"


def test_a_terminal_gets_a_bar_in_place_of_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "xterm"})
    with WorkProgress("comparing", "episodes", 3, console=console) as shown:
        shown.update(3, note="news")
    text = "\n".join(_lines(console))
    assert "3/3 episodes" in text
    assert "news" in text
    assert "3 of 3" not in text
