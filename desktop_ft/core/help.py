"""What is said to someone who asks what a control, a page or a word means."""

from pydantic import Field

from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import Described

WHEN, COST = marked("When"), marked("What it costs")
STEPS, WORDS = marked("What to do here"), marked("Words explained in the help")


class HelpCard(Described):
    """One control, explained to someone who never trained a network."""

    title: str = Field(min_length=1, description="What it is called in the window.")
    what: str = Field(min_length=1, description="What it does.")
    when: str = Field("", description="When to change it, and in which direction.")
    cost: str = Field("", description="What changing it costs: time, memory, accuracy.")
    words: tuple[str, ...] = Field((), description="Words of the field that are explained in the glossary.")

    @property
    def text(self) -> str:
        """The card as plain text: its title, then paragraphs, those after the first with a heading of one line."""
        parts = [self.title, self.what]
        parts += [f"{tr(heading)}\n{said}" for heading, said in ((WHEN, self.when), (COST, self.cost)) if said]
        return "\n\n".join(parts)


class PageHelp(Described):
    """What a page is for, and what to do there, step by step."""

    what: str = Field(min_length=1, description="What the page is for.")
    steps: tuple[str, ...] = Field(min_length=1, description="What to do there, in order.")
    words: tuple[str, ...] = Field((), description="Words of the field that are explained in the glossary.")

    def text(self, title: str) -> str:
        """The page's card as plain text, in the form of `HelpCard.text`."""
        steps = "\n".join(f"• {step}" for step in self.steps)
        return f"{title}\n\n{self.what}\n\n{tr(STEPS)}\n{steps}"
