"""Show results: text, JSON, GitHub annotations, an HTML page.

Input: the results of ``policy.check`` and the outcomes of ``repair``. Output: text. :mod:`check`
and :mod:`build` compose the words; :mod:`text` makes names from wheels safe to print;
:mod:`terminal` is the only module that writes to a terminal or a log; :mod:`html` composes the page
of ``check --html``.
"""
