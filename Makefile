# Holdfast.  `make help` lists the targets; docs/CONTRIBUTING.md explains them.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# ---- the one package list (Debian 12); tests/setup.sh installs what is missing --------------
PACKAGES_BUILD := gcc libc6-dev pkg-config libssl-dev libzstd-dev libconfig-dev libjansson-dev \
	libarchive-dev libpq-dev libxml2-dev libseccomp-dev libevent-dev \
	libcurl4-openssl-dev libsqlite3-dev libfuse3-dev libisal-dev tzdata
PACKAGES_DEMO := postgresql-15 bubblewrap
PACKAGES_TEST := libcriterion-dev clang-format clang-tidy cppcheck shellcheck python3 \
	python3-cryptography python3-jsonschema acl attr libcap2-bin e2fsprogs zstd util-linux \
	faketime fuse3
# a real object store for `make test-s3`: 62 packages, 67 MB to fetch
PACKAGES_S3 := ceph-mon ceph-osd radosgw
PACKAGES_BENCH := restic borgbackup python3 zstd

# ---- how it is built ------------------------------------------------------------------------
VERSION := 0.1.0
V ?= release
BUILD := build/$(V)
CC ?= gcc
PKGS := libcrypto libssl libzstd libconfig jansson libarchive libseccomp \
	libevent_core libevent_openssl libevent_pthreads libcurl sqlite3 fuse3 libisal
# asked only when something is compiled, so that `make setup` works before they are installed
# libpq and libxml2 are loaded when they are used (src/db/libpq.c, restore/libxml.c): headers only
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) libpq libxml-2.0 2>/dev/null | sed 's/-I/-isystem /g')
PKG_LIBS = $(shell pkg-config --libs $(PKGS) 2>/dev/null)
# no -Wpedantic: TAKE is a statement expression on purpose
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef -Wcast-qual -Wpointer-arith -Wswitch-enum -Wnull-dereference
CFLAGS_release := -O2 -g -ffunction-sections -fdata-sections
CFLAGS_debug := -O0 -g3
CFLAGS_asan := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
CFLAGS_fuzz := $(CFLAGS_asan) -fsanitize=fuzzer-no-link
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_fuzz := $(LDFLAGS_asan)
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now
ifneq ($(V),release)
HARDEN :=
HARDEN_LD :=
endif
WERROR ?=
CPPFLAGS_ALL := -D_GNU_SOURCE -DHOLDFAST_VERSION='"$(VERSION)"' -D_FILE_OFFSET_BITS=64 -Isrc -I.
CFLAGS_ALL = -std=gnu17 $(WARN) $(WERROR) $(HARDEN) $(CFLAGS_$(V)) $(CFLAGS)
LDFLAGS_ALL = $(HARDEN_LD) $(LDFLAGS_$(V)) $(LDFLAGS)

ROOMS := src/base src/codec src/crypto src/conf src/store src/store/local src/store/mem \
	src/store/fault src/store/s3 src/store/unix src/vault src/mount src/tlog src/net src/db src/msg plans restore agents \
	agents/sources src/controller src/web src/cmd
MAINS := src/cmd/holdfast.c src/cmd/holdfast_verify.c src/cmd/holdfast_agent.c
SRC := $(filter-out $(MAINS),$(foreach r,$(ROOMS),$(sort $(wildcard $(r)/*.c))))
OBJ := $(SRC:%.c=$(BUILD)/obj/%.o)
LIB := $(BUILD)/libholdfast.a
PROGRAMS := $(BUILD)/holdfast $(BUILD)/holdfast-verify $(BUILD)/holdfast-agent
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c tests/contract/test_*.c))
UNIT := $(UNIT_SRC:tests/%.c=$(BUILD)/tests/%)
TEST_HELPERS := $(sort $(wildcard tests/lib/*.c))
TEST_HELPER_OBJ := $(TEST_HELPERS:%.c=$(BUILD)/obj/%.o)
.SECONDARY: $(TEST_HELPER_OBJ)

.PHONY: all
all: $(PROGRAMS) ## build the programs into build/release

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS_ALL) $(PKG_CFLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/obj/src/vault/store_text.o: docs/FORMAT.md
$(BUILD)/obj/src/cmd/demo_plan.o: plans/examples/line3.plan

$(LIB): $(OBJ)
	@rm -f $@
	@ar rcs $@ $(OBJ)

$(BUILD)/holdfast: $(BUILD)/obj/src/cmd/holdfast.o $(LIB)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $< $(LIB) $(PKG_LIBS) -lpthread -lm

$(BUILD)/holdfast-verify: $(BUILD)/obj/src/cmd/holdfast_verify.o $(LIB)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $< $(LIB) $$(pkg-config --libs libcrypto jansson)

# a small program for other hosts: nothing but what it uses
$(BUILD)/holdfast-agent: $(BUILD)/obj/src/cmd/holdfast_agent.o $(LIB)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -Wl,--gc-sections -Wl,--as-needed -o $@ $< $(LIB) $(PKG_LIBS) \
		-lpthread -lm

# Criterion's macros trip -Wconversion and -Wcast-qual; everything else stays on.
# The tests' own code is compiled quickly, what they test as it ships: 200 programs cost minutes.
TEST_WARN := -Wno-conversion -Wno-write-strings -Wno-cast-qual -Wno-null-dereference \
	-Wno-format-truncation
TEST_CFLAGS_asan := -fsanitize=address -fno-omit-frame-pointer
TEST_CFLAGS_tsan := -fsanitize=thread
TEST_CFLAGS = -std=gnu17 $(WARN) $(WERROR) $(TEST_WARN) -O0 -g1 $(TEST_CFLAGS_$(V)) $(CFLAGS)
TEST_LIBS = $(shell pkg-config --libs libxml-2.0 2>/dev/null)
TEST_LD := $(if $(wildcard /usr/bin/ld.gold),-fuse-ld=gold)
$(BUILD)/tests/%: tests/%.c $(LIB) $(TEST_HELPER_OBJ)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	@$(CC) $(CPPFLAGS_ALL) -Itests $(PKG_CFLAGS) $(TEST_CFLAGS) -MMD -MP -MF $@.d -o $@ $< \
		$(TEST_HELPER_OBJ) $(LIB) $(TEST_LD) $(LDFLAGS_$(V)) $(PKG_LIBS) $(TEST_LIBS) \
		-lcriterion -lpthread -lm

-include $(OBJ:.o=.d) $(UNIT:=.d) $(TEST_HELPER_OBJ:.o=.d) $(MAINS:%.c=$(BUILD)/obj/%.d)

.PHONY: unit
T ?=
unit: $(if $(T),$(filter %/test_$(T),$(UNIT)),$(UNIT)) ## unit and contract tests (T=stem for one)
	@tests/run-unit.sh $^

# ---- set-up ---------------------------------------------------------------------------------
.PHONY: setup-demo setup-test setup-bench
setup-demo: ## install the packages the demo needs, if any is missing
	@tests/setup.sh $(PACKAGES_BUILD) $(PACKAGES_DEMO)
setup-test: ## install the packages the tests need, if any is missing
	@tests/setup.sh $(PACKAGES_BUILD) $(PACKAGES_DEMO) $(PACKAGES_TEST)
setup-bench: ## install the packages bench-peers needs (restic, borg), if any is missing
	@tests/setup.sh $(PACKAGES_BUILD) $(PACKAGES_BENCH)

# ---- the two commands -----------------------------------------------------------------------
DEMO_DIR ?= demo
.PHONY: demo
demo: setup-demo ## back up a plant, drill its recovery, sign the verdict (DEMO_DIR=demo)
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@$(BUILD)/holdfast demo --dir "$(DEMO_DIR)"

.PHONY: test
test: setup-test ## everything CI runs, one summary line per lane
	@tests/lanes.sh build fmt lint rooms unit e2e reference asan

# ---- lanes (tests/lanes.sh runs them with a budget each) ----------------------------------------
C_FILES := $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)
# How far clang-tidy walks the paths of one function: its own 225,000 states cost two and a half times
# as long and told nothing more.
TIDY_DEPTH := -Xclang -analyzer-config -Xclang max-nodes=60000
.PHONY: lane-build lane-fmt lane-lint lane-rooms lane-unit lane-e2e lane-reference lane-asan
lane-build: ## every program, warnings are errors
	@$(MAKE) --no-print-directory -j$$(nproc) WERROR=-Werror all tools
lane-fmt: ## clang-format would change nothing
	@clang-format --dry-run --Werror $(C_FILES)
lane-lint: ## cppcheck, clang-tidy, shellcheck, banned words
	@tests/lint/banned.sh
	@git ls-files '*.sh' .ci/run | xargs shellcheck
	@cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr --suppress=memleak \
		--library=tests/lint/jansson.cfg \
		--suppress=resourceLeak --suppress=missingIncludeSystem --enable=warning,portability \
		-j$$(nproc) -Isrc -I. src agents plans restore
	@printf '%s\n' $(SRC) $(MAINS) | xargs -P$$(nproc) -n12 sh -c \
		'clang-tidy --quiet "$$@" -- -D_GNU_SOURCE -DHOLDFAST_VERSION=\"0\" -Isrc -I. \
		-std=gnu17 $(PKG_CFLAGS) $(TIDY_DEPTH)' \
		tidy 2>/dev/null | { ! grep -E 'warning:|error:'; }
lane-rooms: $(LIB) ## floors, names, stems, docs/rooms, a test for each stem
	@python3 tests/lint/rooms.py includes
	@python3 tests/lint/rooms.py stems
	@python3 tests/lint/rooms.py names $(LIB)
	@python3 tests/lint/rooms.py docs
	@python3 tests/lint/rooms.py tests
# Every unit test runs under ASan and UBSan (lane-asan).  As they ship run those of the rooms whose
# speed is their purpose or whose memory is counted: twice all of them cost CI five minutes of its 20.
UNIT_SHIPPED := $(filter $(foreach r,base codec crypto store net,$(BUILD)/tests/unit/$(r)/% ) \
	$(BUILD)/tests/contract/% $(foreach t,chunker chunker_kernel col1 record pack index index_cache \
	id_marks record_cache block_memo session collect collect_harm parity_code,$(BUILD)/tests/unit/vault/test_$(t)),$(UNIT))
lane-unit: ## unit and contract tests of the programs as they ship: those that ASan does not stand for
	@$(MAKE) --no-print-directory -j$$(nproc) WERROR=-Werror $(UNIT_SHIPPED)
	@tests/run-unit.sh $(UNIT_SHIPPED)
lane-e2e: all tools ## the programs from outside, with real faults and kills
	@tests/e2e/run.sh $(BUILD)
.PHONY: setup-s3 test-s3
setup-s3: setup-test ## install the object store that test-s3 needs (Ceph), if it is missing
	@tests/setup.sh $(PACKAGES_S3)
test-s3: setup-s3 all tools $(BUILD)/tests/contract/test_store_contract ## the s3 driver on a real Ceph RGW of its own (PORT)
	@tests/s3/run.sh $(BUILD)
	@tests/s3/scale.sh $(BUILD)
.PHONY: prove-network
prove-network: all ## 200 random kills and cuts of controller and agents (CHAOS_ROUNDS, SEED)
	@CHAOS_ROUNDS=$${CHAOS_ROUNDS:-200} tests/e2e/network_chaos.sh $(BUILD)
PROVE_COUNT ?= 1000000
.PHONY: prove-chunker
prove-chunker: $(BUILD)/prove/chunker ## 1,000,000 buffers cut alike by every kernel (PROVE_COUNT, SEED)
	@$< $(PROVE_COUNT) $${SEED:-$$RANDOM$$RANDOM}
$(BUILD)/prove/%: tests/prove/%.c $(TEST_HELPER_OBJ) $(LIB)
	@mkdir -p $(@D)
	@echo "  PROVE $@"
	@$(CC) $(CPPFLAGS_ALL) -Itests $(CFLAGS_ALL) -o $@ $< $(TEST_HELPER_OBJ) $(LIB) \
		$(LDFLAGS_ALL) $(PKG_LIBS) -lpthread -lm
.PHONY: prove-scale
prove-scale: all tools $(BUILD)/bench/meter $(BUILD)/prove/scale_index ## 1,000,000 files, 1 TiB with holes, 10,000,000 records within 96 MiB (SCALE_FILES, SCALE_TIB, SCALE_RECORDS, SCALE_MIB)
	@tests/prove/scale.sh $(BUILD)
.PHONY: prove-sanitizers
prove-sanitizers: setup-demo ## controller and agents with real traffic under TSan and ASan (CHAOS_ROUNDS, SEED, KEEP)
	@$(MAKE) --no-print-directory -j$$(nproc) V=tsan all tools
	@$(MAKE) --no-print-directory -j$$(nproc) V=asan all tools
	@tests/sanitizers.sh build/tsan build/asan
.PHONY: prove-limits
prove-limits: all ## an agent keeps to cpu_percent and bytes_per_s within 10 % (BENCH_S, BENCH_DIR)
	@tests/bench/limits.sh $(BUILD)
.PHONY: bench-network
bench-network: all $(BUILD)/bench/corpus ## backup through the gateway beside in-process (BENCH_DIR=/usr/lib, BENCH_SCALE)
	@tests/bench/network.sh $(BUILD)
.PHONY: bench-mount
bench-mount: all ## a mounted file beside its restored copy (BENCH_MIB=512)
	@tests/bench/mount.sh $(BUILD)
.PHONY: bench-agents
bench-agents: all ## the controller under 100 polling agents (BENCH_AGENTS, BENCH_S)
	@tests/bench/agents.sh $(BUILD)
lane-reference: all tools $(BUILD)/model/model_explore ## the independent reader, known answers, model, proof
	@$(BUILD)/model/model_explore --quick
	@$(MAKE) --no-print-directory -j$$(nproc) prove-built
	@tests/prove/log_check.sh
	@tests/prove/run.sh $(BUILD) --quick
	@tests/reference/run.sh $(BUILD)
lane-asan: ## all unit and contract tests and a smoke run under ASan and UBSan
	@$(MAKE) --no-print-directory -j$$(nproc) V=asan all unit-programs
	@$(MAKE) --no-print-directory V=asan unit build/asan/fuzz/fuzz_replay build/asan/tools/mallocs
	@build/asan/fuzz/fuzz_replay tests/fuzz/corpus
	@build/asan/tools/mallocs --quick
	@tests/e2e/smoke.sh build/asan

.PHONY: unit-programs
unit-programs: $(UNIT)

# ---- programs that only tests use -----------------------------------------------------------
TOOLS := $(BUILD)/tools/treecmp $(BUILD)/tools/nasty $(BUILD)/tools/duetimes \
	$(BUILD)/tools/faultshim.so
.PHONY: tools
tools: $(TOOLS)
$(BUILD)/tools/%.so: tests/tools/%.c
	@mkdir -p $(@D)
	@echo "  TOOL $@"
	@$(CC) -D_GNU_SOURCE -std=gnu17 -O2 -Wall -Wextra $(WERROR) -fPIC -shared -o $@ $< -ldl
WRAPPED := malloc calloc realloc reallocarray strdup strndup
$(BUILD)/tools/mallocs: LDFLAGS += $(WRAPPED:%=-Wl,--wrap=%)
$(BUILD)/tools/%: tests/tools/%.c $(TEST_HELPER_OBJ) $(LIB)
	@mkdir -p $(@D)
	@echo "  TOOL $@"
	@$(CC) $(CPPFLAGS_ALL) -Itests $(CFLAGS_ALL) -o $@ $< $(TEST_HELPER_OBJ) $(LIB) \
		$(LDFLAGS_ALL) $(PKG_LIBS) -lpthread -lm

# ---- the proof: longer than the tests -----------------------------------------------------------
PROVE_PARTS_ALL := bits power faults kill9 forged programs hostile
PROVE_PROGRAMS := $(PROVE_PARTS_ALL:%=$(BUILD)/prove/%)
.PHONY: prove prove-quick prove-built $(PROVE_PARTS_ALL:%=prove-%)
prove-built: $(PROVE_PROGRAMS)
prove: $(PROVE_PROGRAMS) ## the whole proof in slices, goes on where it was (PROVE_S, PROVE_TOTAL_S, PROVE_JOBS, SEED)
	@$(MAKE) --no-print-directory -j$$(nproc) V=asan build/asan/tools/mallocs
	@tests/prove/run.sh $(BUILD)
prove-quick: $(PROVE_PROGRAMS) ## the part of it that is in `make test`
	@tests/prove/run.sh $(BUILD) --quick
$(PROVE_PARTS_ALL:%=prove-%): prove-%: $(BUILD)/prove/%
	@PROVE_PARTS=$* tests/prove/run.sh $(BUILD)
.PHONY: prove-asan prove-tsan
prove-asan: ## the quick part of every proof under ASan and UBSan
	@$(MAKE) --no-print-directory -j$$(nproc) V=asan prove-built
	@tests/prove/run.sh build/asan --quick
prove-tsan: ## and under TSan
	@$(MAKE) --no-print-directory -j$$(nproc) V=tsan prove-built
	@tests/prove/run.sh build/tsan --quick
MODEL_SRC := $(sort $(wildcard tests/model/*.c))
.PHONY: prove-model
prove-model: $(BUILD)/model/model_explore ## every state of sessions and collection (docs/MODEL.md)
	@$<
$(BUILD)/model/model_explore: $(MODEL_SRC) $(wildcard tests/model/*.h)
	@mkdir -p $(@D)
	@echo "  MODEL $@"
	@$(CC) -Itests $(CFLAGS_ALL) -o $@ $(MODEL_SRC) $(LDFLAGS_ALL)

.PHONY: prove-malloc
prove-malloc: ## every allocation of backup, restore, verify, prune and collection fails once
	@$(MAKE) --no-print-directory -j$$(nproc) V=asan build/asan/tools/mallocs
	@PROVE_PARTS=malloc tests/prove/run.sh $(BUILD)
.PHONY: prove-fuzz fuzz-programs
prove-fuzz: ## every parser under libFuzzer (FUZZ_SECONDS=600 each; wants clang, libclang-rt-14-dev)
	@$(MAKE) --no-print-directory -j$$(nproc) V=fuzz CC=clang fuzz-programs
	@tests/fuzz/prove.sh build/fuzz
fuzz-programs: $(BUILD)/fuzz/fuzz_libfuzzer $(BUILD)/fuzz/fuzz_replay
FUZZ_SRC := $(filter-out tests/fuzz/fuzz_libfuzzer.c tests/fuzz/fuzz_replay.c,$(sort $(wildcard tests/fuzz/*.c)))
FUZZ_OBJ = $(FUZZ_SRC:%.c=$(BUILD)/obj/%.o)
$(BUILD)/obj/tests/fuzz/%.o: CPPFLAGS_ALL += -Itests
$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(FUZZ_OBJ) $(TEST_HELPER_OBJ) $(LIB)
	@mkdir -p $(@D)
	@echo "  FUZZ $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lpthread -lm
$(BUILD)/fuzz/fuzz_libfuzzer: LDFLAGS_fuzz += -fsanitize=fuzzer
.SECONDARY: $(FUZZ_OBJ)
-include $(FUZZ_OBJ:.o=.d)

# ---- measuring, never part of the tests ---------------------------------------------------------
BENCH_PROGRAMS := $(BUILD)/holdfast $(BUILD)/tools/treecmp $(BUILD)/bench/corpus $(BUILD)/bench/meter
.PHONY: bench bench-peers bench-check
bench: $(BENCH_PROGRAMS) ## measure Holdfast alone, small, in a minute (docs/BENCH.md)
	@BENCH_PEERS= BENCH_SCALE=$${BENCH_SCALE:-0.03} tests/bench/bench.py $(BUILD)
bench-peers: setup-bench ## measure Holdfast beside restic and borg (BENCH_SCALE, RESTIC, BORG ..)
	@$(MAKE) --no-print-directory -j$$(nproc) $(BENCH_PROGRAMS)
	@tests/bench/bench.py $(BUILD)
bench-check: $(BENCH_PROGRAMS) ## does the benchmark measure what it says? (with peers if there)
	@tests/bench/check.sh $(BUILD)
.PHONY: bench-s3
bench-s3: setup-bench setup-s3 ## Holdfast beside restic on an object store of its own on loopback (BENCH_SCALE=0.1, RESTIC, PORT)
	@$(MAKE) --no-print-directory -j$$(nproc) $(BENCH_PROGRAMS)
	@tests/bench/s3.sh $(BUILD)
.PHONY: bench-s3-scale
bench-s3-scale: setup-s3 all tools ## more hosts, more gateways, one bucket (docs/SCALE.md; SCALE_MB=150, PORT)
	@tests/bench/s3_scale.sh $(BUILD)
BENCH_TREE ?= /usr
.PHONY: bench-memory
bench-memory: $(BUILD)/bench/backup_memory ## peak memory of an agent (BENCH_TREE=/usr)
	@$< $(BUILD)/bench/memory $(BENCH_TREE)
.PHONY: bench-chunker
bench-chunker: $(BUILD)/bench/chunker ## GB/s of the chunker, each kernel beside the portable one
	@$<
.PHONY: bench-codec
bench-codec: $(BUILD)/bench/codec ## size and time of packing, with and without filter (CODEC_FILES)
	@$< $(CODEC_FILES)
$(BUILD)/bench/%: tests/bench/%.c $(LIB)
	@mkdir -p $(@D)
	@echo "  BENCH $@"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -o $@ $< $(LIB) $(LDFLAGS_ALL) $(PKG_LIBS) -lpthread -lm

# ---- the rest ---------------------------------------------------------------------------------
PREFIX ?= /usr/local
.PHONY: install uninstall
install: all ## install the programs (DESTDIR, PREFIX)
	install -D -m 0755 -t "$(DESTDIR)$(PREFIX)/bin" $(PROGRAMS)
uninstall: ## remove them
	rm -f $(foreach p,$(notdir $(PROGRAMS)),"$(DESTDIR)$(PREFIX)/bin/$(p)")

.PHONY: fmt
fmt: ## format the C sources in place
	@clang-format -i $(C_FILES)

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
		awk -F'\t' '{ printf "  %-16s %s\n", $$1, $$2 }'
