"""Words of the Review tab: key → (English, Chinese). Part of ui.i18n."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "review": ("Review", "审核"),
    "review_task": ("Task", "任务"),
    "review_source": ("Made by", "来源"),
    "review_all_tasks": ("All tasks", "全部任务"),
    "review_all_sources": ("All sources", "全部来源"),
    "review_waiting": ("To review", "待审核"),
    "review_candidate": ("Candidates", "候选"),
    "review_kept": ("Kept by curation", "筛选保留"),
    "review_accepted": ("Accepted", "已接受"),
    "review_rejected": ("Rejected", "已拒绝"),
    "review_edited": ("Edited", "已修改"),
    "review_dropped": ("Dropped by curation", "筛选剔除"),
    "review_left": ("{n} left", "剩余 {n} 条"),
    "review_accept": ("Accept", "接受"),
    "review_edit": ("Edit", "修改"),
    "review_reject": ("Reject", "拒绝"),
    "review_skip": ("Skip", "跳过"),
    "review_save": ("Save and accept", "保存并接受"),
    "review_reason": ("Why is it rejected?", "拒绝的原因"),
    "review_reject_so": ("Reject with these words", "以上述原因拒绝"),
    "review_unanswerable": ("The passage does not hold the answer, and that is right", "原文未提及，如此作答即为正确"),
    "review_gone": (
        "The passage is no longer in the library. Reject the example, or skip it.",
        "原段落已不在资料库中。请拒绝或跳过。",
    ),
    "review_passage": ("Text of the passage", "段落文字"),
    "review_empty": ("No training examples yet", "还没有训练样例"),
    "review_empty_hint": (
        "They are made from the library by `vademecum qa generate`, and from readers' corrections below. "
        "Each is shown here beside its page, to be accepted, edited or rejected.",
        "用 `vademecum qa generate` 从资料库生成，或由下方读者的更正产生。"
        "每条样例会与其原页并列显示，供接受、修改或拒绝。",
    ),
    "review_done": ("All reviewed", "全部审核完毕"),
    "review_done_hint": (
        "Nothing of this selection is left for you. Choose another state, e.g. accepted ones for a second look.",
        "所选范围内已没有待您审核的样例。可另选状态，例如对已接受的再看一遍。",
    ),
    "review_told_accept": ("Accepted.", "已接受。"),
    "review_told_reject": ("Rejected.", "已拒绝。"),
    "review_told_save": ("Saved and accepted; the old one is kept as edited.", "已保存并接受，原样例留存为“已修改”。"),
    "reason_1": ("wrong", "错误"),
    "reason_2": ("not in the source", "原文没有"),
    "reason_3": ("unclear question", "问题不清"),
    "reason_4": ("incomplete answer", "回答不全"),
    "reason_5": ("not useful", "没有用处"),
    "reason_6": ("duplicate", "重复"),
    "reason_7": ("unsafe", "有风险"),
    "role_system": ("System", "系统"),
    "role_user": ("Question", "问题"),
    "role_assistant": ("Answer", "回答"),
    "role_thought": ("Thought", "思考"),
    "role_search": ("Found", "检索结果"),
    # Readers' feedback
    "feedback_title": ("Readers' feedback ({n})", "读者反馈（{n}）"),
    "feedback_none": ("No feedback waits.", "没有待处理的反馈。"),
    "feedback_take": ("Make candidates of corrections: {n}", "将更正转为候选样例：{n} 条"),
    "feedback_taken": ("{n} candidates made.", "已生成 {n} 条候选样例。"),
    "feedback_right": ("The reader says:", "读者认为："),
    "feedback_seen": ("Seen, nothing to do", "已阅，无需处理"),
    # Agreement
    "agreement_title": ("Reviewers and how they agree", "审核者及其一致性"),
    "agreement_none": ("Nothing has been reviewed yet.", "还没有审核记录。"),
    "agreement_no_pair": ("No example was judged by two people yet.", "还没有由两人审核过的样例。"),
    "agreement_who": ("Reviewer", "审核者"),
    "agreement_pair": (
        "{first} and {second}: {same} of {n} alike, κ = {kappa}",
        "{first} 与 {second}：{n} 条中 {same} 条一致，κ = {kappa}",
    ),
    # Export
    "export_title": ("Take the data away", "导出数据"),
    "export_hint": (
        "A file for training tools: examples of these states, or a dataset as it was built.",
        "供训练工具使用的文件：所选状态的样例，或已构建的数据集。",
    ),
    "export_what": ("What", "内容"),
    "export_good": ("Kept and accepted examples", "筛选保留及已接受的样例"),
    "export_dataset": ("Dataset {name}", "数据集 {name}"),
    "export_format": ("Format", "格式"),
    "export_since": ("Made since", "生成日期不早于"),
    "export_button": ("Export", "导出"),
    "export_counting": ("Counting…", "正在统计…"),
    "export_rows": ("{n} rows; the download begins.", "{n} 行，开始下载。"),
    "export_failed": ("The export could not be made. Is Vademecum still running?", "未能导出。Vademecum 还在运行吗？"),
}
