"""Files, folders, processes, signals, progress and threads; independent of ELF and wheels.

Input: paths, commands and functions to run. Output: complete files, results of processes, and
errors that a user can fix. Output files are written under a temporary name and renamed last
(:mod:`files`); temporary folders are removed on every exit, by signals too (:mod:`folders`,
:mod:`signals`); :mod:`cache` is a folder that only the user can write to.
"""
