"""How a region is written, whoever names it: it becomes a part of a host's name."""

from rolecall_common.settings import types

REGION = types.matching(
    r"[a-z]{2,8}(-[a-z]{2,12}){1,3}-\d{1,2}", "a region, such as eu-west-1", "REGION"
)
