"""What can go wrong with an answering model, and how it is told to the reader in either language."""

from __future__ import annotations

from typing import Literal

from kb.errors import ModelError
from kb.types import Language

FailureKind = Literal[
    "down", "slow", "endless", "cut", "refused", "busy", "garbled", "empty", "too long", "broke", "unsupported"
]

_SAYS: dict[FailureKind, dict[Language, str]] = {
    "down": {
        "en": 'The model endpoint {what} cannot be reached ({detail}). Start it, or set engine = "extractive".',
        "zh": '连接不上回答模型 {what}（{detail}）。请启动它，或把 engine 设为 "extractive"。',
    },
    "slow": {
        "en": "The model {what} sent nothing more for {detail} s. Ask again later, or raise model_timeout_s.",
        "zh": "回答模型 {what} 超过 {detail} 秒没有新内容。请稍后再试，或调大 model_timeout_s。",
    },
    "endless": {
        "en": "The model {what} had not finished its answer after {detail} s. Lower max_new_tokens, or raise "
        "model_timeout_s.",
        "zh": "回答模型 {what} 用了 {detail} 秒仍未答完。请调小 max_new_tokens，或调大 model_timeout_s。",
    },
    "cut": {
        "en": "The answer of the model {what} broke off before its end ({detail}). Ask again, or look at its log.",
        "zh": "回答模型 {what} 的回答中途断开（{detail}）。请重新提问，或查看它的日志。",
    },
    "refused": {
        "en": "The model endpoint {what} refused the question: {detail}. Check openai_model and openai_api_key.",
        "zh": "回答模型 {what} 拒绝了这次提问：{detail}。请检查 openai_model 和 openai_api_key。",
    },
    "busy": {
        "en": "The model endpoint {what} cannot answer now: {detail}. Ask again later, or look at its log.",
        "zh": "回答模型 {what} 现在无法回答：{detail}。请稍后再试，或查看它的日志。",
    },
    "garbled": {
        "en": "What the model endpoint {what} sent cannot be read ({detail}). Check that openai_base_url names an "
        "OpenAI-compatible endpoint; it usually ends in /v1.",
        "zh": "回答模型 {what} 返回的内容无法读取（{detail}）。"
        "请检查 openai_base_url 是否为 OpenAI 兼容接口（通常以 /v1 结尾）。",
    },
    "empty": {
        "en": "The model {what} gave no text. Ask again, or choose another model.",
        "zh": "回答模型 {what} 没有给出文字。请重新提问，或换一个模型。",
    },
    "too long": {
        "en": "The question does not fit the model {what} ({detail}). Ask it shorter, or lower max_new_tokens.",
        "zh": "问题超出回答模型 {what} 的长度（{detail}）。请缩短问题，或调小 max_new_tokens。",
    },
    "unsupported": {
        "en": "Nothing that the model {what} wrote is borne out by the passages it was given, so none of it is shown.",
        "zh": "回答模型 {what} 写的内容在所给文段中都找不到依据，因此没有显示。",
    },
    "broke": {
        "en": 'The model {what} failed ({detail}). Look at the log, or set engine = "extractive".',
        "zh": '回答模型 {what} 出错（{detail}）。请查看日志，或把 engine 设为 "extractive"。',
    },
}


class ModelFailure(ModelError):
    """A ModelError that knows what kind it is. `str()` is English; `explain` speaks either language."""

    def __init__(self, kind: FailureKind, what: str, detail: str = "") -> None:
        self.kind = kind
        self.what = what
        self.detail = detail
        super().__init__(self.explain("en"))

    def explain(self, language: Language) -> str:
        """One or two sentences: what failed, why, and what to do."""
        return _SAYS[self.kind][language].format(what=self.what, detail=self.detail)
