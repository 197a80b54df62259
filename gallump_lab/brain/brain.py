"""The brain: it answers prompts, with a model or with the offline analyst, and keeps no memory of its own."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gallump_lab.brain import claude, offline, recommendations
from gallump_lab.brain.answer import Answer, EmptyReply, clean
from gallump_lab.brain.prompt import Prompt, PromptBuilder
from gallump_lab.brain.request import Request
from gallump_lab.config import AUTO, UNNAMED, Budget, Config, Model
from gallump_lab.market.market_context import MarketContext
from gallump_lab.masking import Stream
from gallump_lab.memory.records import SessionContext
from gallump_lab.tokens import OFFLINE

QUESTION_KEPT = "Your question is kept."
REPLY_KEPT = "Your question is kept, and the part of the reply that had arrived. A new reply costs anew."
_SAID: set[str] = set()  # what is said once in a process


class Brain:
    """Answers prompts. It keeps no memory of its own: the session's is in the prompt.

    The key is read from ANTHROPIC_API_KEY, or ANTHROPIC_AUTH_TOKEN, when a prompt is sent, and is never kept.

    Parameters
    ----------
    session_id : str, optional
        The session that is answered, for whoever asks for it.
    session_manager : object, optional
        What keeps that session.
    model : Model, optional
        Which model, and within what bounds of time and money; ANTHROPIC_MODEL and ANTHROPIC_BASE_URL fill in.
    budget : Budget, optional
        `reply` bounds the answer; the tiers bound the prompt that `converse` builds.
    """

    def __init__(
        self,
        session_id: str | None = None,
        session_manager: object = None,
        *,
        model: Model | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.session_id, self.session_manager = session_id, session_manager
        self.model, self.budget = model or Model(), budget or Budget()

    @property
    def model_name(self) -> str:
        """Who answers: the model's name, or the offline analyst's."""
        return self.model.answering

    @property
    def offline(self) -> bool:
        """Whether there is neither a key nor a base URL, so that the offline analyst answers."""
        return self.model_name == OFFLINE

    def send(
        self,
        prompt: Prompt,
        *,
        on_text: Callable[[str], None] | None = None,
        on_thinking: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Send a prompt and wait for its answer.

        Parameters
        ----------
        prompt : Prompt
            What is sent.
        on_text : callable, optional
            Called in this thread with each piece of text as it arrives; what may be the beginning of a key or a
            password waits for what follows, and is masked if it is one.
        on_thinking : callable, optional
            Called in this thread once the model begins to think.
        stop : threading.Event, optional
            Once it is set this returns soon, in whatever phase, with what had arrived; the request is ended too.

        Returns
        -------
        Answer
            Also where the model or the network failed: its state is "failed" then, its fault says why, and its text is
            what had arrived. Where a Ctrl-C or an error of `on_text` broke it off, the state is "stopped"; whoever has
            kept what had arrived calls `answer.raise_if_failed()`.
        """
        heard, stop = Stream(on_text or (lambda _: None)), stop or threading.Event()
        claude.find_model(self.model)
        if self.offline:
            answer, rest = _once(offline.answer(prompt, on_text=heard.add, stop=stop), self.model), ""
        else:
            hear = (heard.add, on_thinking)
            answer, rest = self._ask(prompt, hear, stop)
        answer = replace(answer, text=clean(answer.text))
        if answer.interruption is None:
            try:
                heard.add(rest)
                heard.end()
            except BaseException as interruption:  # noqa: BLE001 - raised once the answer is recorded, as any other
                answer = replace(answer, state="stopped", interruption=interruption)
        return answer

    def request(self, prompt: Prompt) -> Request:
        """Return what is sent for a prompt."""
        tool = recommendations.RECOMMEND
        said, plain = prompt.messages, [{"role": role, "content": text} for role, text in prompt.turns]
        plain.append({"role": "user", "content": prompt.user})
        room = self.budget.reply
        return Request(
            system=prompt.system, messages=plain, citing=said, previous=prompt.previous, max_tokens=room, tool=tool
        )

    def _ask(
        self,
        prompt: Prompt,
        hear: tuple[Callable[[str], None], Callable[[], None] | None],
        stop: threading.Event,
    ) -> tuple[Answer, str]:
        """Ask Claude; also return the words that its recommendations add to its own."""
        on_text, on_thinking = hear
        request = self.request(prompt)
        return self.told(claude.ask(request, model=self.model, on_text=on_text, on_thinking=on_thinking, stop=stop))

    def told(self, answer: Answer) -> tuple[Answer, str]:
        """Read what a model's answer recommends; also return the words that this adds to its own."""
        found, dropped = recommendations.read(answer.calls, answer.text)
        text, said = answer.text, ""
        if found and answer.calls and answer.state in {"complete", "cut"}:
            said = f"\n\n{recommendations.prose(found)}" if text.strip() else recommendations.prose(found)
        state, fault = answer.state, answer.fault
        if state == "complete" and not (text + said).strip():
            state, fault = "failed", EmptyReply(f"{answer.model} gave an empty reply. Ask again.")
        if fault:
            fault.kept = REPLY_KEPT if text.strip() else QUESTION_KEPT
        answer = replace(answer, text=clean(text + said), recommendations=found, dropped=dropped)
        return _once(replace(answer, state=state, fault=fault), self.model), said

    def converse(
        self, user_message: str, market_context: MarketContext, session_context: SessionContext
    ) -> dict[str, Any]:
        """Build the prompt, send it, and return the guide's part of the response.

        Raises
        ------
        PromptTooLong
            If the question alone does not fit the window.
        ModelError
            If no reply came, or it broke off.
        """
        builder = PromptBuilder.of(Config(budget=self.budget, model=self.model))
        prompt = builder.build_trading_prompt(user_message, market_context, session_context)
        answer = self.send(prompt)
        answer.raise_if_failed()
        return answer.to_dict()


def _once(answer: Answer, model: Model) -> Answer:
    """Tell with an answer what this process has not been told yet."""
    words = [each for each in _otherwise(answer, model) if each not in _SAID]
    _SAID.update(words)
    return replace(answer, told=" ".join(filter(None, (answer.told, *words))) or None)


def _otherwise(answer: Answer, model: Model) -> Iterator[str]:
    """Say in what an answer is another than was wished for: by whom, and with what effort."""
    chosen = os.environ.get("ANTHROPIC_MODEL", "").strip() or model.name
    if answer.offline and chosen != AUTO:
        yield f"{chosen} was not asked: there is no key (ANTHROPIC_API_KEY) and no base URL (ANTHROPIC_BASE_URL)."
    if answer.offline or answer.state in {"stopped", "failed"}:
        return
    if answer.model == UNNAMED:
        yield f"{claude.host(model)} does not say which models it has: name one (ANTHROPIC_MODEL or Model.name)."
    effort = answer.sent.get("effort")
    if model.effort not in {"default", Model.effort, effort} and "effort" not in answer.sent.get("without", ()):
        how = f"with {effort} effort" if effort else "without effort, which it is not known to take"
        yield f"{answer.model} was asked {how}, not {model.effort}."
