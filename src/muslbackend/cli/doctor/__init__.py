"""``muslbackend doctor``: inspect this machine and a project.

``survey`` inspects the machine, ``diagnosis`` decides from the survey which wheels can be built and
lists the missing tools, ``examine`` adds the build of a project, and ``report`` formats the result.
"""
