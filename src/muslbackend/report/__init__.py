"""Show results: text, JSON, GitHub annotations, an HTML page.

Input: the results of ``policy.check`` and the outcomes of ``repair``. Output: text.

A command composes its words, then writes them:

1. :mod:`check` (one or more wheels) or :mod:`build` (a build or a repair) composes text or JSON.
   The JSON is described by ``schemas/*.schema.json``, and its keys are stable.
2. :mod:`text` formats a finding, and escapes names from wheels so that they are safe to print.
3. :mod:`terminal` writes: in color and folded on a terminal, otherwise plain. No other module
   writes to a terminal or a log. On GitHub Actions it also writes the annotations of :mod:`github`.

:mod:`html` composes the page of ``check --html``: start at :func:`html.page.page`.
"""
