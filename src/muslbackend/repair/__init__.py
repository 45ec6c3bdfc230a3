"""Bundle libraries, patch ELF files, prove the result, and write the wheel.

Input: the files of a build or of a finished wheel (:mod:`request`), and the settings
(:mod:`options`). Output: a wheel with a true tag, and an :class:`outcome.Outcome`.

:mod:`repair` unpacks a finished wheel; a build starts at :mod:`finish`, which judges the files,
plans the changes (:mod:`layout`, :mod:`libraries`, :mod:`plan`), applies them to copies
(:mod:`patch`), judges the result again by the wheel alone, compares it with the plan
(:mod:`second_reader`), opens the files with the real loader if asked to (:mod:`verify`), adds the
SBOM and licenses (:mod:`inventory`) and writes the wheel (:mod:`write`).
"""
