# `make up` and `make test` are all that a newcomer needs. Both make .venv by themselves.
PORT ?= 8000
DEMO ?= 1
ARGS ?=
WORKERS ?= 2
SCALE ?= 1000,100000
JSON ?=
OUT ?=
PYTHON3 ?= python3
PY := .venv/bin/python
export PORT DEMO

.DEFAULT_GOAL := help
.PHONY: help install up test bench faults pages screenshots lint

help:
	@echo "make up [PORT=8000] [DEMO=1]        the product with demo data on http://127.0.0.1:8000/"
	@echo "make test [ARGS='tests/leads -x']   the test suite, on servers of its own"
	@echo "make lint                           linters, drawing of the house, migrations, translations, deployment check"
	@echo "make bench SCALE=1000,100000 JSON=bench.json"
	@echo "make faults                         the long fault suite"
	@echo "make pages [OUT=.local/pages]       a picture of every page in Chromium, and what is wrong with it"
	@echo "make screenshots                    the pictures of the README"

install:
	@$(PYTHON3) crm/boot/bootstrap.py

up:
	@$(PYTHON3) crm/boot/bootstrap.py --port
	@exec $(PY) manage.py up --port $(PORT) --with-parent

test: install
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

bench: install
	@$(PY) manage.py bench --scale $(SCALE) $(if $(JSON),--json $(JSON))

faults: install
	@FAULTS=1 $(PY) -m pytest -m faults $(ARGS)

pages: install
	@PAGES=$(or $(OUT),.local/pages) $(PY) -m pytest -m pages -n $(WORKERS) --dist load --show-capture=no tests/pages $(ARGS)

screenshots: install
	@$(PY) manage.py screenshots

lint: install
	@./.ci/lint
