"""Which words of a text are names of drugs, by their stems: text in, names out. No list of drugs is ever complete."""

from __future__ import annotations

import re

# Stems that the WHO gives to drug names (International Nonproprietary Names, "The use of stems", 2018), zh and en, and
# common drugs that have none. Chinese names begin where a word ends that is no part of a name: see _START.
_DRUG_EN = re.compile(
    r"\b(?!(?:chole|ergo|phyto|campe|sito)sterol)(?:[A-Za-z]{2,}(?:mycin|micin|cillin|oxacin|cycline|olol|pril|sartan"
    r"|statin|azole|azepam|azolam|formin|gliptin|gliflozin|glutide|glitazone|dipine|tidine|prazole|profen|coxib|triptan"
    r"|setron|caine|barbital|mab|tinib|vir|parin|xaban|grel|semide|thiazide|lukast|terol|sone|solone|phylline|codone"
    r"|morphone|adol|clazide|pizide|buride|oxetine|traline|talopram|apine|peridone|dronate|fibrate|fenac|oxicam"
    r"|platin|taxel|rubicin|trexate|curium|dopa|stigmine|tropine|zolamide|lactone|fungin|penem|fentanil|fentanyl"
    r"|thyroxine|giline|bamate|toin|valproate|ciclovir|quine|artemether)"
    r"|(?:cef|sulfa)[a-z]{3,}|aspirin|warfarin|digoxin|insulin|heparin|morphine|codeine|paracetamol|acetaminophen"
    r"|naloxone|naltrexone|methadone|buprenorphine|lithium|allopurinol|colchicine|dextromethorphan|amiodarone|clonidine"
    r"|isoniazid|levodopa|ketamine|propofol|adrenaline|epinephrine|gabapentin|pregabalin|penicillin|lamotrigine)s?\b",
    re.IGNORECASE,
)
_DRUG_ZH = re.compile(
    r"可待因|吗啡|地高辛|胰岛素|华法林|秋水仙碱|阿托品|多巴胺|头孢[\u4e00-\u9fff]{2}|格列[\u4e00-\u9fff]{2}|[\u4e00-\u9fff]{1,6}?(?:沙星|霉素|西林|环素|洛尔|普利(?!德)|沙坦|他汀|康唑"
    r"|硝唑|西泮|唑仑|双胍|列汀|列净|地平|替丁|拉唑|洛芬|昔布|昔康|司琼|卡因|比妥|单抗|替尼|韦林|洛韦|福韦|他韦|肝素|沙班|格雷|噻嗪|司特"
    r"|特罗|丁胺醇|松龙|尼松|米松|可的松|奈德|茶碱|可酮|吗啡|可待因|法林|地高辛|胰岛素|鲁肽|列酮|列奈|膦酸|曲坦|西汀|酞普兰|氮平|硫平|丙戊酸|卡马西平"
    r"|苯妥英|三嗪|巴喷丁|蝶呤|磷酰胺|[顺卡洛]铂|紫杉醇|比星|替康|他滨|嘧啶|太尼|美沙酮|纳洛酮|曲马多|嘌醇|秋水仙碱|螺内酯|塞米|硝酸甘油|胺碘酮|帕酮|阿托品"
    r"|斯的明|多巴胺|肾上腺素|甲状腺素|巯咪唑|利福平|异烟肼|氯喹|芬净|培南|波糖|芬酸|美辛|雷他定|替利嗪|溴索|沙芬|立酮|必利|司匹林|氨基酚|磺胺|贝特|夫定)",
)
SALTS = "盐酸|硫酸|磷酸|酒石酸|枸橼酸|马来酸|富马酸|甲磺酸|醋酸|乙酸|氢溴酸|注射用"
"""What may stand before a drug's name and makes no other drug of it; a regular expression."""
# What ends right before a drug's name. Only characters and words that no drug's name holds.
_START = re.compile(
    r"[的用服给与和及或是为者时含予如换停吃且而若将把被从选需有了在]|对(?!乙酰|氨基)|因为|由于|以及|还有|例如|比如|其中|推荐|建议|避免|联合|长期|短期|单独"
    r"|静[滴注脉]|[肌皮]注|皮下|注射(?!用)|[每]?[一二三四两][日天次]|每[日天周次晚]|[小大低高]?剂量?|患者|病人|儿童|孕妇|成人|老人|药物|药品|类药|治疗|预防|过敏|初始"
    r"|常规|不宜|不能|可以|禁止|需要|应当|同时|一起|之前|之后|期间|后|前(?!列)|毫克|尤其|特别|首先|首次|关于|针对|加量|减量|加(?=[用氢])|[盐硫磷醋]酸(?!甘油)|酒石酸|枸橼酸|马来酸|富马酸|甲磺酸|氢溴酸"
)


def drug_names(text: str) -> list[str]:
    """Words that look like names of drugs; 用布洛芬 is 布洛芬, 头孢克洛片 is 头孢克洛."""
    found = [(match.start(), match.group()) for match in _DRUG_EN.finditer(text)]
    for match in _DRUG_ZH.finditer(text):
        starts = [0, *(word.end() for word in _START.finditer(match.group()))]
        name = match.group()[starts[-1] :]
        if len(name) > 1:
            found.append((match.start(), name))
    return list(dict.fromkeys(name for _, name in sorted(found)))
