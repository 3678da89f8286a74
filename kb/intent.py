"""What a question wants, by rule: the library, or a short reply without it. Question in, Intent and reply out.

Greetings, thanks and questions about the knowledge base itself are answered honestly; small talk is declined; requests to
harm someone are refused courteously. Rules match whole questions and leave every clinical one alone: a poisoning to be
treated, a suicide risk to be assessed and a lethal dose in a label are what a hospital's library is for.
"""

from __future__ import annotations

import re
from typing import Final

from kb.types import Intent, Language

_END = r"[\s!！?？。.,，、~～…]*$"
_GREETING = re.compile(
    r"^\W*(?:(?:你|您|大家)好[啊呀吗哦]*|早上好|上午好|中午好|下午好|晚上好|早安|晚安|嗨|哈喽|在吗|在不在|再见|拜拜"
    r"|h(?:i|ello|ey)(?: there| everyone)?|good (?:morning|afternoon|evening|night)|(?:good)?bye)+" + _END,
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*(?:(?:好的?|ok|okay|great|明白了?|知道了|收到|了解了?|懂了)[，,。.!！ ]*)?"
    r"(?:(?:非常|多|十分|太)?(?:感谢|谢谢|谢了|谢啦|谢)(?:你|您|啦|了|大家|帮助|你的帮助|您的帮助)*|辛苦了?|多谢"
    r"|(?:many |ok,? |great,? )?thank(?:s| you)(?: very much| so much| a lot)?(?: for (?:your|the) help)?|cheers"
    r"|(?:好的?|ok|okay|great|明白了?|知道了|收到|了解了?|懂了|got it|i see))" + _END,
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^\W*(?:你是(?:谁|什么|哪位|人吗|机器人吗)|你叫什么(?:名字)?|(?:你|这个系统|这里)(?:能|会|可以)(?:做|干|回答)?(?:些)?什么(?:问题)?"
    r"|怎么使用(?:你|这个系统|本系统)|你有什么(?:功能|用)|介绍一下你自己|帮助"
    r"|who (?:are|made) you|what (?:are you|can you do|do you do|can i ask(?: you)?)|how do(?:es)? (?:you|this) work|help(?: me)?)"
    + _END,
    re.IGNORECASE,
)
_OFF_TOPIC = re.compile(
    r"^\W*(?:请|帮我|能不能|可以|你能|给我)*(?:(?:今天|明天|后天|现在|周末|北京|上海|这里|外面){0,3}的?天气(?:怎么样|如何|好吗|预报)?"
    r"|(?:讲|说)(?:一?个)?(?:笑话|故事)|(?:写|作)(?:一?首)?(?:诗|歌|情书|小说)|唱(?:一?首)?歌|现在几点(?:了|钟)?|今天(?:星期|周)几"
    r"|(?:推荐|买)(?:一?[只支]|什么)?(?:股票|彩票|基金).{0,8}|(?:今天|现在)?股市(?:怎么样|行情)?|你喜欢.{1,8}"
    r"|(?:what(?:'s| is) the )?weather(?: like)?(?: today| tomorrow)?|(?:tell|write) (?:me )?a (?:joke|story|poem|song).{0,40}"
    r"|what time is it(?: now)?|(?:which|what) (?:stocks?|shares?) (?:should i buy|to buy).{0,20}"
    r"|who (?:will win|won) the (?:world cup|match|game|election).{0,20}|write (?:me )?(?:some )?(?:python )?code.{0,40})"
    + _END,
    re.IGNORECASE,
)
_HARM = re.compile(
    r"(?:怎[么样]?|如何|用什么|哪种药|什么药|教我|帮我|想要?).{0,14}(?:毒死|药死|害死|弄死|毒杀|谋杀|杀[死了](?!.{0,10}(?:菌|病毒|虫|螨|孢|癌|瘤|细胞))|杀人|下毒|下药(?![量物后])|迷晕|迷奸|迷倒)"
    r"|(?:怎[么样]?|如何|用什么|哪种药|什么药|教我).{0,10}(?:自杀|自尽|结束(?:自己的)?生命|去死)(?!.{0,6}(?:风险|患者|病人|倾向|意念|者|预防))"
    r"|(?:多少|几[片粒瓶]|什么药).{0,14}(?:吃死|毒死|药死|能死(?:人)?|会死(?:人)?)"
    r"|(?:怎[么样]?|如何|自己|在家).{0,8}(?:制造|合成|制作|自制|提炼|做).{0,6}(?:冰毒|海洛因|毒品|炸药|炸弹|毒药|甲基苯丙胺|毒气)"
    r"|(?:怎[么样]?|如何|帮我|教我).{0,6}(?:伪造|仿造|造假|做假|开假).{0,10}(?:处方|病历|诊断|证明|化验单|检验)"
    r"|\bhow (?:can|do|could|would|should|to)\b.{0,20}\b(?:kill|poison|murder|drug) (?:a |my |his |her |some|an? )"
    r"(?:person|someone|somebody|people|man|woman|wife|husband|boss|neighbou?r|child|girl|date|partner|friend|body)"
    r"|\b(?:kill|poison|murder|drug) (?:someone|somebody|my (?:wife|husband|boss|neighbou?r|partner|friend|ex))\b.{0,60}"
    r"|\bhow (?:can|do|could|should) i (?:kill myself|commit suicide|end my life|overdose)|\bhow to (?:kill myself|commit suicide)"
    r"|\bhow (?:can|do|could|to)\b.{0,20}\b(?:make|cook|synthesi[sz]e|manufacture) (?:crystal )?"
    r"(?:meth|methamphetamine|heroin|a bomb|bombs|explosives|poison|nerve agents?|sarin|ricin)\b"
    r"|\bhow (?:can|do|could|to)\b.{0,12}\b(?:forge|fake) (?:a |an )?(?:prescription|medical|sick|diagnosis)"
    r"|\bwithout (?:being|getting) (?:caught|detected|traced)|\bundetectabl[ey] (?:poison|kill|murder)",
    re.IGNORECASE,
)
_CRISIS = re.compile(
    r"^\W*(?:我|本人)(?:真的|好|很|只|就)?(?:想死|不想活|想自杀|要自杀|想结束生命|活不下去)"
    r"|^\W*i (?:really )?(?:want to (?:die|kill myself|end my life)|am going to kill myself|don'?t want to live)",
    re.IGNORECASE,
)
# What makes a question about harm a clinical one.
_CLINICAL = re.compile(
    r"预防|防止|避免|评估|筛查|干预|抢救|救治|处理|处置|解毒|识别|鉴别|急救|中毒后|护理|监测|灭活|杀灭|消毒"
    r"|\b(?:prevent\w*|assess\w*|screen\w*|manag\w*|treat\w*|antidote|detect (?:poison|abuse)|recogni[sz]\w*|risk of)\b",
    re.IGNORECASE,
)

REPLIES: Final[dict[Intent, dict[Language, str]]] = {
    "greeting": {
        "zh": "您好。请直接提问，例如“二甲双胍的禁忌证有哪些？”。回答只依据本院知识库里的文件，并标明出处。",
        "en": "Hello. Ask a question, such as “What are the contraindications of metformin?”. Answers come from the "
        "documents in this library only, with their sources.",
    },
    "thanks": {
        "zh": "不客气。还有问题可以继续问。",
        "en": "You are welcome. Ask on whenever you like.",
    },
    "about": {
        "zh": "这里是医院知识库：在已收录的文件中查找问题的答案，摘出原文并标明文件和页码；文件里没有的，会直说没有提及。它不代替临床判断。",
        "en": "This is the hospital's knowledge base: it looks your question up in the documents it holds and gives what "
        "they say, with document and page. Where they do not say, it tells you so. It does not replace clinical judgement.",
    },
    "off_topic": {
        "zh": "这个问题不在知识库的范围内。这里只回答所收录的医学文件里的内容。",
        "en": "That is outside this library. It answers only from the medical documents it holds.",
    },
    "harmful": {
        "zh": "抱歉，这个请求可能伤害到人，不能提供帮助。如果您或身边的人正处在危险中，请立即拨打急救电话或联系心理援助。"
        "如果是临床需要（如中毒的处理、自杀风险的评估），请直接写明临床问题。",
        "en": "I am sorry, but this could hurt someone, and I cannot help with it. If you or someone near you is in danger, "
        "call the emergency number or a crisis line now. If it is a clinical matter, such as treating a poisoning or "
        "assessing the risk of suicide, please ask it as one.",
    },
}


def intent_of(question: str) -> Intent:
    """What the question wants. Whatever no rule knows is for the library."""
    text = " ".join(question.split())
    if _CRISIS.search(text) or (_HARM.search(text) and not _CLINICAL.search(text)):
        return "harmful"
    if len(text) > 80:
        return "library"
    if _GREETING.match(text):
        return "greeting"
    if _THANKS.match(text):
        return "thanks"
    if _ABOUT.match(text):
        return "about"
    return "off_topic" if _OFF_TOPIC.match(text) else "library"
