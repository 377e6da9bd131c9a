# The project's recipes. `./dev RECIPE` runs them from a clean clone; `just RECIPE` inside .venv.
# Arguments travel as "$@", so that spaces in them survive.

set positional-arguments

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# What the linters, the formatter and mypy look at.
code := "contracts infra sagas services bench tests dev"

[private]
default:
    @just --justfile '{{ justfile() }}' --list

[doc("Carry manifests through a laboratory of your own, from HTTP to the boxes, and check all of it")]
[group("use")]
demo *args:
    @exec tracseq demo "$@"

[doc("Start broker, document store and every service; Ctrl-C drains them")]
[group("use")]
up *args:
    @exec tracseq up "$@"

[doc("The command line of a running system: `tracseq --help`")]
[group("use")]
tracseq *args:
    @exec tracseq "$@"

[doc("Measure against floors and targets: `bench house --json`")]
[group("use")]
bench NAME *args:
    @exec python -m bench "$@"

[doc("Run the saga engine through seeded trouble: `simulate --seed 7 --sagas 100000`, `--exhaustive`")]
[group("check")]
simulate *args:
    @exec python -m tests.simulation "$@"

[doc("Kill processes of a laboratory at work, and count the harm: `faults --rounds 200`, `--power-loss`")]
[group("check")]
faults *args:
    @exec python -m tests.faults "$@"

[doc("Run the tests, three processes beside each other: `test tests/contracts -k golden`")]
[group("check")]
test *args:
    @exec pytest -n 3 "$@"

[doc("Everything a change must pass: linters, layers, types, tests")]
[group("check")]
check: lint types test

[doc("Linters, formatting and the layers of the architecture")]
[group("check")]
lint:
    ruff check {{ code }}
    ruff format --check {{ code }}
    lint-imports

[doc("Both type checkers, strict")]
[group("check")]
types:
    mypy
    pyright

[doc("Format the code and mend what the linter can")]
[group("change")]
format:
    ruff format {{ code }}
    ruff check --fix {{ code }}

[doc("Write the contracts as AsyncAPI, OpenAPI and JSON Schemas")]
[group("change")]
contracts-export *args:
    @exec tracseq contracts export "$@"

# uv is not part of the environment, since only this recipe needs it (docs/dependencies.md).
[doc("Resolve the dependencies anew into requirements.lock, with hashes (needs uv on PATH)")]
[group("change")]
lock *args:
    uv pip compile pyproject.toml --extra embedded --group dev --group bench --generate-hashes \
        -o requirements.lock --python-version 3.11 "$@"

[doc("Resolve what the saga benches compare with anew into requirements-bench.lock (needs uv on PATH)")]
[group("change")]
lock-peers *args:
    uv pip compile --group peers --generate-hashes \
        -o requirements-bench.lock --python-version 3.11 "$@"
