# Holdfast.  `make help` lists the targets; docs/CONTRIBUTING.md explains them.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# ---- the one package list (Debian 12) -------------------------------------------------------
PACKAGES_BUILD := gcc libc6-dev make pkg-config libssl-dev libzstd-dev libconfig-dev libjansson-dev \
	libarchive-dev libpq-dev libxml2-dev libseccomp-dev
PACKAGES_DEMO := postgresql-15 bubblewrap util-linux procps
PACKAGES_TEST := libcriterion-dev clang-format clang-tidy cppcheck shellcheck python3 \
	python3-cryptography python3-jsonschema acl attr libcap2-bin e2fsprogs zstd

# ---- how it is built ------------------------------------------------------------------------
V ?= release
BUILD := build/$(V)
CC ?= gcc
PKGS := libcrypto libzstd libconfig jansson libarchive libpq libxml-2.0 libseccomp
# asked only when something is compiled, so that `make setup` works before they are installed
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null | sed 's/-I/-isystem /g')
PKG_LIBS = $(shell pkg-config --libs $(PKGS) 2>/dev/null)
# no -Wpedantic: TAKE is a statement expression on purpose
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef -Wcast-qual -Wpointer-arith -Wswitch-enum -Wnull-dereference
CFLAGS_release := -O2 -g
CFLAGS_debug := -O0 -g3
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
LDFLAGS_asan := -fsanitize=address,undefined
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now
ifneq ($(V),release)
HARDEN :=
HARDEN_LD :=
endif
WERROR ?=
CPPFLAGS_ALL := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Isrc -I.
CFLAGS_ALL = -std=gnu17 $(WARN) $(WERROR) $(HARDEN) $(CFLAGS_$(V)) $(CFLAGS)
LDFLAGS_ALL = $(HARDEN_LD) $(LDFLAGS_$(V)) $(LDFLAGS)

ROOMS := src/base src/codec src/crypto src/conf src/store src/store/local src/store/mem \
	src/store/fault src/vault src/tlog plans restore agents agents/sources src/cmd
MAINS := src/cmd/holdfast.c src/cmd/holdfast_verify.c
SRC := $(filter-out $(MAINS),$(foreach r,$(ROOMS),$(sort $(wildcard $(r)/*.c))))
OBJ := $(SRC:%.c=$(BUILD)/obj/%.o)
LIB := $(BUILD)/libholdfast.a
PROGRAMS := $(BUILD)/holdfast $(BUILD)/holdfast-verify
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c tests/contract/test_*.c))
UNIT := $(UNIT_SRC:tests/%.c=$(BUILD)/tests/%)
TEST_HELPERS := $(sort $(wildcard tests/lib/*.c))
TEST_HELPER_OBJ := $(TEST_HELPERS:%.c=$(BUILD)/obj/%.o)

.PHONY: all
all: $(PROGRAMS) ## build the programs into build/release

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS_ALL) $(PKG_CFLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/obj/src/vault/store_text.o: docs/FORMAT.md

$(LIB): $(OBJ)
	@rm -f $@
	@ar rcs $@ $(OBJ)

$(BUILD)/holdfast: $(BUILD)/obj/src/cmd/holdfast.o $(LIB)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $< $(LIB) $(PKG_LIBS) -lpthread -lm

$(BUILD)/holdfast-verify: $(BUILD)/obj/src/cmd/holdfast_verify.o $(LIB)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $< $(LIB) $$(pkg-config --libs libcrypto jansson)

# Criterion's macros trip -Wconversion and -Wcast-qual; everything else stays on.
$(BUILD)/tests/%: tests/%.c $(LIB) $(TEST_HELPER_OBJ)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	@$(CC) $(CPPFLAGS_ALL) -Itests $(PKG_CFLAGS) $(CFLAGS_ALL) -Wno-conversion -Wno-write-strings \
		-Wno-cast-qual -Wno-null-dereference -MMD -MP -MF $@.d -o $@ $< $(TEST_HELPER_OBJ) $(LIB) \
		$(LDFLAGS_$(V)) $(PKG_LIBS) -lcriterion -lpthread -lm

-include $(OBJ:.o=.d) $(UNIT:=.d)

.PHONY: unit
T ?=
unit: $(if $(T),$(filter %/test_$(T),$(UNIT)),$(UNIT)) ## unit and contract tests (T=stem for one)
	@tests/run-unit.sh $^

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
		awk -F'\t' '{ printf "  %-14s %s\n", $$1, $$2 }'
