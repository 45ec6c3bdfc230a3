"""The PEP 517/660 hooks, and a build for musl from the settings to the wheel.

Input: ``pyproject.toml``, ``-C`` keys, the environment and the running interpreter. Output: a wheel
with a true tag, or scikit-build-core's own wheel where no target for musl is named.

Follow one wheel, module by module:

1. :mod:`hooks`: the frontend calls ``build_wheel``. The module also shows errors and the outcome.
2. :mod:`job`: read pyproject.toml, the settings (:mod:`settings`) and the facts about the
   interpreter, and decide on the machine and the floor (:mod:`target`).
3. Without a target: :mod:`passthrough` lets scikit-build-core write its own wheel. End.
4. :mod:`pipeline`: ``build_wheel`` has the order of all further steps.
5. For another machine, ``cross.prepare``: the toolchain and the emulation of the target.
6. :mod:`invocation`: the ``-C`` keys and environment variables for scikit-build-core.
7. :mod:`skbuild`: run scikit-build-core. When CMake has installed the files, call the pipeline back
   with the list of files, in place of writing an archive.
8. ``repair.finish``: judge, bundle, prove and write the wheel; return its outcome.
9. :mod:`hooks`: show the outcome, and write it for ``muslbackend build`` (:mod:`outcome`).
"""
