"""Rules: findings about a wheel, the verdict about its tag, and the explanation of each code.

Input: the graph of a wheel's files, its archive, and a target. Output: a :class:`verdict.Verdict`
with findings, the oldest musl release that loads every file, and the reasons.

A rule is a function in :mod:`rules`, registered with its code and severity (:mod:`rule`);
:mod:`registry` derives the sets of rules for builds, repairs and checks. ``codes.toml`` explains
each code. :mod:`check` judges a finished wheel.
"""
