"""An error that a user can mend is one paragraph, whatever of a file it repeats."""

from maestro_gym.core.errors import ArgumentValueError, MaestroError


def test_what_a_file_says_cannot_break_the_paragraph() -> None:
    error = MaestroError("mine.yaml: `a\nb\x1b[31m`:  is no name.\n\nTake another.")
    assert str(error) == "mine.yaml: `a b [31m`: is no name. Take another."
    assert str(ArgumentValueError("a\tb")) == "a b"


def test_what_is_long_is_cut() -> None:
    assert len(str(MaestroError(f"name {'n' * 100_000} is too long"))) < 1100
    assert len(str(MaestroError("word " * 100_000))) == 4000
