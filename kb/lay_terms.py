"""How patients say it, and how documents do: 拉肚子 is 腹泻, 心梗 is 心肌梗死. Text in, the same in clinical words out.

A fixed list of Chinese everyday words and clipped names that mean one thing whatever stands around them, for holding a
question against sentences. Search does without: there the clinical word beside the everyday one weighed symptoms twice
(toyhom recall@10 .37 → .345). What a library itself says of its names is mined from it: kb.expand.
"""

from __future__ import annotations

import re

_CLINICAL = {
    "饮酒": "喝酒",
    "食盐": "吃盐",
    "吸烟": "抽烟",
    "腹泻": "拉肚子 拉稀 跑肚",
    "发热": "发烧",
    "头痛": "头疼",
    "腹痛": "肚子疼 肚子痛",
    "胃痛": "胃疼",
    "胸痛": "胸口疼 胸口痛 心口疼 心口痛",
    "腰痛": "腰疼",
    "牙痛": "牙疼",
    "咽痛": "嗓子疼 嗓子痛 喉咙疼 喉咙痛",
    "关节痛": "关节疼",
    "失眠": "睡不着觉 睡不着",
    "打鼾": "打呼噜",
    "心悸": "心慌",
    "呼吸困难": "喘不上气 喘不过气",
    "便秘": "大便干燥 大便干",
    "便血": "拉血",
    "瘙痒": "发痒",
    "皮疹": "起疹子",
    "足癣": "脚气",
    "甲癣": "灰指甲",
    "结膜炎": "红眼病",
    "癫痫": "羊癫疯 羊角风",
    "阿尔茨海默病": "老年痴呆症 老年痴呆",
    "妊娠": "怀孕",
    "注射": "打针",
    "服药": "吃药",
    "患者": "病人",
    "高血糖": "血糖高",
    "高血压": "血压高",
    "低血压": "血压低",
    "高血脂": "血脂高",
    "贫血": "血色素低",
    "心肌梗死": "心肌梗塞 心梗",
    "脑梗死": "脑梗塞 脑梗",
    "脑卒中": "中风",
    "心力衰竭": "心衰",
    "肾衰竭": "肾衰",
    "心房颤动": "房颤",
    "慢性阻塞性肺疾病": "慢阻肺",
    "甲状腺功能亢进": "甲亢",
    "甲状腺功能减退": "甲减",
    "乙型肝炎": "乙肝",
    "丙型肝炎": "丙肝",
    "血液透析": "血透",
    "药物相互作用": "药物互相作用",
}
_TO_CLINICAL = {lay: name for name, words in _CLINICAL.items() for lay in words.split()}
# The longest first; a whole clinical word is left as it is: 脑梗 of 脑梗死, 心衰 of 心衰竭.
_KNOWN = re.compile("|".join(sorted([*_CLINICAL, *_TO_CLINICAL], key=len, reverse=True)))


def clinical(text: str) -> str:
    """The text with everyday words replaced. For comparing only: what is quoted stays as it is."""
    return _KNOWN.sub(lambda found: _TO_CLINICAL.get(found.group(), found.group()), text)
