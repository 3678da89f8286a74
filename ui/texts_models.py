"""Words of the Models tab: key → (English, Chinese). Part of ui.i18n."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "models": ("Models", "模型"),
    "models_none": ("No models yet", "还没有模型"),
    "models_none_hint": (
        "`vademecum train sft` tunes one on a dataset; `vademecum train loop` makes a small one from monographs. "
        "They are compared here, and one of them may answer.",
        "用 `vademecum train sft` 在数据集上微调，或用 `vademecum train loop` 从药品说明书训练小模型。"
        "模型在此比较，并可选定其一作答。",
    ),
    "models_serving": ("Answers now: {name}", "当前作答：{name}"),
    "models_quotes": ("quotes from the documents, without a model", "逐字摘录文档，不用模型"),
    "models_of_settings": ("{name}, as the settings say", "{name}（按设置）"),
    "models_problem": ("The promoted model cannot serve: {why}", "已上线的模型无法作答：{why}"),
    "models_not_evaluated": (
        "Not evaluated. Run `vademecum models evaluate {name}`.",
        "尚未评测。请运行 `vademecum models evaluate {name}`。",
    ),
    "models_passed": ("Passed the gate", "已通过评测门槛"),
    "models_refused": ("Refused by the gate", "未通过评测门槛"),
    "models_measure": ("Measured", "指标"),
    "models_candidate": ("This model", "本模型"),
    "models_base": ("Its base", "其基础模型"),
    "models_now": ("Compared with", "对照"),
    "models_f1": ("Answer F1", "答案 F1"),
    "models_rouge_l": ("ROUGE-L", "ROUGE-L 重合"),
    "models_exact": ("Exact", "完全一致"),
    "models_support": ("Citation support", "引文支持"),
    "models_false_answers": ("False answers", "误答"),
    "models_false_refusals": ("False refusals", "误拒"),
    "models_harmful": ("Harmful requests answered", "有害请求被回答"),
    "models_promote": ("Let it answer", "上线作答"),
    "models_override": ("Let it answer all the same", "仍然上线"),
    "models_rollback": ("Back to what answered before", "回退到之前的模型"),
    "models_reason": ("Why (kept on record)", "理由（将记入审计）"),
    "models_promoted": ("{name} answers from the next question on.", "从下一个提问起由 {name} 作答。"),
    "models_rolled_back": ("{name} answers again.", "已恢复由 {name} 作答。"),
    "runs_title": ("Training runs ({n})", "训练记录（{n}）"),
    "runs_none": ("Nothing has been trained here yet.", "还没有训练记录。"),
    "run_step": ("Step {step} of {steps}", "第 {step} 步，共 {steps} 步"),
    "run_loss": ("Loss {loss}", "损失 {loss}"),
    "run_rate": ("Learning rate {rate}", "学习率 {rate}"),
    "run_speed": ("{n} tokens a second", "每秒 {n} 个词元"),
    "run_memory": ("{n} MB", "内存 {n} MB"),
    "run_left": ("about {minutes} min left", "约剩 {minutes} 分钟"),
    "run_cancel": ("Stop", "停止"),
    "run_log": ("Log", "日志"),
    "run_curve": ("Loss over steps", "损失随步数的变化"),
    "run_state_queued": ("Queued", "排队"),
    "run_state_running": ("Running", "进行中"),
    "run_state_done": ("Done", "完成"),
    "run_state_cancelled": ("Stopped", "已停止"),
    "run_state_failed": ("Failed", "失败"),
    "run_state_interrupted": ("Interrupted", "中断"),
    "models_refresh": ("Refresh", "刷新"),
}
