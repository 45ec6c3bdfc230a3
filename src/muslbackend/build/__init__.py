"""The PEP 517/660 hooks, and a build for musl from the settings to the wheel.

Input: ``pyproject.toml``, ``-C`` keys, the environment and the running interpreter. Output: a wheel
with a true tag, or scikit-build-core's own wheel where no target for musl is named.

Follow one wheel: :mod:`hooks` reads the settings (:mod:`settings`) and facts about the interpreter,
and :mod:`target` decides on the machine and the floor. Without a target, :mod:`passthrough` calls
scikit-build-core. Otherwise :mod:`pipeline` prepares the toolchain (:mod:`cross`) and the arguments
(:mod:`invocation`), and :mod:`skbuild` runs scikit-build-core, which returns the list of files.
``repair.finish`` then judges, bundles, proves and writes the wheel.
"""
