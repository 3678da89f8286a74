"""A small library of monographs, put into a home by the real path."""

from __future__ import annotations

import json
from pathlib import Path

from ingest.add import add_paths
from kb.knowledge_base import KnowledgeBase
from kb.settings import load_settings

FIRST = ("甲", "乙", "丙", "丁", "戊", "己", "庚", "辛")
SECOND = ("洛芬", "西林", "他定", "普利", "沙坦")


def monographs() -> list[str]:
    """Forty drugs with fields of their own; one says 尚不明确, and two records bear one name."""
    records = []
    for at, name in enumerate(f"{first}{second}" for first in FIRST for second in SECOND):
        records.append(
            f"{name}\n药品类型:第{at % 7}类药\n英文名:Drug{at:03}\n别名:{name}素\n剂型:片剂：{at + 1}mg。\n"
            f"适应证:用于第{at}号疾病的治疗。\n"
            f"禁忌证:{'尚不明确。' if at % 5 == 0 else f'对第{at}号成分过敏者禁用。'}\n"
            f"用法用量:口服：每次{at + 1}mg，每天{at % 3 + 1}次。"
        )
    records.append("甲洛芬\n剂型:注射剂：900mg。\n用法用量:静脉滴注：每次900mg。")
    return records


def library(folder: Path) -> Path:
    """A home that holds them; the words only (their vectors would mean nothing)."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "drugs.json"
    source.write_text(json.dumps(monographs(), ensure_ascii=False), encoding="utf-8")
    home = folder / "home"
    with KnowledgeBase.open(load_settings(home=home), write=True) as base:
        added = add_paths(base, [source], embed=False)
        assert [one.status for one in added] == ["added"]
    return home
