# make demo      build the examples for musl here, install them into a real musl CPython, run them
# make test      the test suite, with the small ones of the real wheels
# make test-all  that, C++ for seven machines, twelve real projects for two, and
#                scikit-build-core's own tests
# make truth     real wheels from PyPI, half a gigabyte of them: judged, and opened by real loaders
# make upstream  scikit-build-core's own tests, of three releases, with its hooks and with ours
# make messages the test suite, to see that it produces every message that we print
# make fuzz    mutated ELF files, wheels and settings, and ELF files held against musl's loaders:
#              an hour or ten million of each
# make bench     measure it beside other tools and what the machine can do at best; half an hour
# make docs      write docs/reference-cli.md anew, from the parser
# make lint      style and types
# make clean     remove the files that these commands made

VENV := .venv

demo: $(VENV)/.demo
	$(VENV)/bin/python examples/demo.py

test: $(VENV)/.test
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

test-all: $(VENV)/.test
	$(VENV)/bin/python -m pytest -n auto --dist loadfile -m "not corpus"

truth: $(VENV)/.test
	$(VENV)/bin/python -m pytest -n auto --dist loadfile -m "" tests/truth

upstream: $(VENV)/.test
	$(VENV)/bin/python tests/upstream.py
	$(VENV)/bin/python tests/upstream.py --musl

messages: $(VENV)/.test
	$(VENV)/bin/python tests/messages.py

fuzz: $(VENV)/.test
	$(VENV)/bin/python tests/fuzz/run.py
	$(VENV)/bin/python tests/fuzz/differential.py

bench: $(VENV)/.demo
	$(VENV)/bin/python benchmarks/bench.py --plot benchmarks/plot.svg

docs: $(VENV)/.demo
	$(VENV)/bin/python docs/reference.py

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) .cache dist

$(VENV)/.%: pyproject.toml tests/setup.sh
	tests/setup.sh $(VENV) $*
	touch $@

.PRECIOUS: $(VENV)/.%
.PHONY: demo test test-all truth upstream messages fuzz bench docs lint clean
