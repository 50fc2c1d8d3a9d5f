# gabion. Targets: all deps demo check check-suites check-kernels lint fuzz bench install uninstall clean (see README.md).
# Variables: V=1 (print commands), SAN=address,undefined, DEBUG=1, BUILD=dir, PREFIX, DESTDIR, CC.

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build$(if $(SAN),-san)
CC      ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
VERSION := 0.1.0

ifeq ($(V),1)
Q :=
else
Q := @
endif
say = @printf '  %-7s %s\n' '$(1)' '$(2)';

PKGS := libseccomp jansson yaml-0.1 libcap liburing libcares
# A fresh machine has no pkg-config yet: the deps target runs first, then make again.
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wswitch-enum \
	-Wundef -Wvla -Wpointer-arith -Wwrite-strings -Wcast-qual -Wold-style-definition -Wredundant-decls \
	-Wnull-dereference -Wimplicit-fallthrough -Werror=implicit-function-declaration -Werror=incompatible-pointer-types
IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)
ifeq ($(IS_CLANG),0)
WARN += -Wlogical-op -Wduplicated-cond -Werror=override-init
else
WARN += -Werror=initializer-overrides
# clang before 16 wants to be asked twice.
ifneq ($(shell $(CC) -ftrivial-auto-var-init=zero -fsyntax-only -x c /dev/null 2>/dev/null && echo yes),yes)
HARDEN_CLANG := -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
endif
ifeq ($(WERROR),1)
WARN += -Werror
endif

HARDEN := -fPIE -fstack-protector-strong -fcf-protection=full -ftrivial-auto-var-init=zero -fstack-clash-protection \
	-fno-strict-aliasing $(HARDEN_CLANG)
OPT := -O2 -g
ifneq ($(SAN),)
OPT := -O1 -g -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined
else ifeq ($(DEBUG),1)
OPT := -O0 -g
else
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif

CPPFLAGS += -D_GNU_SOURCE -DGABION_VERSION='"$(VERSION)"' -Iinclude -I. -I$(BUILD)/gen $(PKG_CFLAGS)
CFLAGS   += -std=gnu17 $(OPT) $(WARN) $(HARDEN) -pthread
LDFLAGS  += -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,shstk -Wl,--as-needed -pthread
# Linked in where the archive is there: loading eight libraries is a good part of a start that takes ten milliseconds,
# and of each process's memory. A distribution that updates libraries by themselves says LINK=shared.
LINK ?= static
archive = $(filter /%,$(shell $(CC) -print-file-name=$(1:-l%=lib%.a) 2>/dev/null))
ifeq ($(LINK),static)
LDLIBS   += $(foreach l,$(PKG_LIBS),$(or $(if $(filter -l%,$(l)),$(call archive,$(l))),$(l)))
else
LDLIBS   += $(PKG_LIBS)
endif

SRCS := $(wildcard policy/*.c sentry/*.c monitor/*.c monitor/floor/*.c monitor/relay/*.c monitor/credential/*.c monitor/oci/*.c)
OBJS := $(SRCS:%.c=$(BUILD)/%.o)
LIBOBJS := $(filter-out $(BUILD)/monitor/main.o,$(OBJS))
EMBED := $(sort $(wildcard policy/agents/*.yaml))
PROFILES := $(sort $(wildcard policy/profiles/*.yaml))
GROUPS_OF_HOSTS := $(sort $(wildcard policy/groups/*.yaml))

UNIT  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
GUEST := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/guest/*.c tests/attack/*.c tests/degrade/*.c tests/suites/*.c))
FLOOR := $(BUILD)/tests/floor/floor
# Fuzzers need clang and its libFuzzer.
CLANG ?= clang
FUZZ  := $(if $(wildcard $(shell $(CLANG) -print-file-name=libclang_rt.fuzzer-x86_64.a 2>/dev/null)),$(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_OBJS := $(patsubst %.c,$(BUILD)/fuzz/%.o,$(wildcard policy/*.c) monitor/relay/dns.c monitor/relay/proxy.c monitor/relay/synth.c \
	monitor/credential/scrub.c \
	$(wildcard monitor/oci/config*.c) monitor/oci/resources.c monitor/oci/fault.c monitor/oci/seccomp.c monitor/oci/inroot.c)
FUZZ_FLAGS := -std=gnu17 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_SECONDS ?= 60
BENCH := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))

.PHONY: all deps demo check check-unit check-guest check-attack check-cli check-suites check-kernels lint fuzz bench install uninstall clean tests objects
.DELETE_ON_ERROR:
.SUFFIXES:

all: $(BUILD)/gabion $(BUILD)/gabion-oci

$(BUILD)/gabion: $(OBJS)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJS) $(LDLIBS)

$(BUILD)/gabion-oci: $(BUILD)/gabion
	$(Q)ln -sf gabion $@

# Data files become C arrays: name, bytes.
$(BUILD)/gen/agents.inc: $(EMBED) tests/lib/embed.sh
	$(call say,GEN,$@) mkdir -p $(@D) && sh tests/lib/embed.sh $(EMBED) > $@

$(BUILD)/monitor/agent.o: $(BUILD)/gen/agents.inc

# Policies of ours become trees: a start parses none.
$(BUILD)/gen/profilec: policy/gen/profilec.c $(BUILD)/policy/lang_yaml.o
	$(call say,CCLD,$@) mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/gen/profiles.inc: $(BUILD)/gen/profilec $(PROFILES)
	$(call say,GEN,$@) $< $(PROFILES) > $@

$(BUILD)/gen/groups.inc: $(BUILD)/gen/profilec $(GROUPS_OF_HOSTS)
	$(call say,GEN,$@) $< $(GROUPS_OF_HOSTS) > $@

$(BUILD)/policy/lang_embedded.o: $(BUILD)/gen/profiles.inc $(BUILD)/gen/groups.inc

$(BUILD)/%.o: %.c Makefile
	$(call say,CC,$<) mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(LIBOBJS) Makefile
	$(call say,CCLD,$@) mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIBOBJS) $(LDLIBS) -lcmocka

# The differential test of the plan: everything of ours but the filter.
$(FLOOR): $(wildcard tests/floor/*.c) $(LIBOBJS) Makefile
	$(call say,CCLD,$@) mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $(filter %.c,$^) \
		$(filter-out $(BUILD)/policy/filter.o,$(LIBOBJS)) $(LDLIBS)

# Fuzzers: the code that reads hostile input, with libFuzzer's counters in it.
$(FUZZ_OBJS): $(BUILD)/fuzz/%.o: %.c $(BUILD)/gabion Makefile
	$(call say,FUZZ,$<) mkdir -p $(@D) && $(CLANG) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(BUILD)/fuzz/%: tests/fuzz/%.c $(FUZZ_OBJS)
	$(call say,FUZZ,$@) mkdir -p $(@D) && $(CLANG) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# Guest programs: what runs inside. Plain, no library of ours, so that they are the same program outside.
$(BUILD)/tests/%: tests/%.c Makefile
	$(call say,CCLD,$@) mkdir -p $(@D) && $(CC) -D_GNU_SOURCE -std=gnu17 -O1 -g $(WARN) -Itests/lib -pthread -MMD -MP -MF $@.d -o $@ $< -ldl

# These measure what is inside, and are linked with it.
$(BUILD)/bench/verdict $(BUILD)/bench/relay $(BUILD)/bench/surface: $(BUILD)/bench/%: bench/%.c $(LIBOBJS) Makefile
	$(call say,CCLD,$@) mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIBOBJS) $(LDLIBS)

$(BUILD)/bench/%: bench/%.c Makefile
	$(call say,CCLD,$@) mkdir -p $(@D) && $(CC) -D_GNU_SOURCE -std=gnu17 -O2 -g $(WARN) -pthread -MMD -MP -MF $@.d -o $@ $<

# Packages for the goals asked for: a demo needs no test tools.
deps_deps := build demo check kernels bench
deps_demo := build demo
deps_check := build demo check
deps_lint := build check
deps_check-kernels := build check kernels
deps_check-suites := build suites
deps_bench := build bench
deps:
	@sh tests/lib/deps.sh $(sort $(foreach goal,$(MAKECMDGOALS),$(deps_$(goal))))

tests: all $(UNIT) $(GUEST) $(FLOOR) $(FUZZ)

objects: $(OBJS)

demo check check-suites check-kernels lint bench: deps
demo:
	$(Q)$(MAKE) --no-print-directory all
	$(Q)sh tests/lib/demo.sh $(BUILD)/gabion

check:
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)BUILD=$(BUILD) bash tests/lib/check.sh

# Long: well-known suites natively and inside (tests/suites/README.md).
check-suites:
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)e=0; for s in storm python git; do echo "# $$s"; BUILD=$(BUILD) bash tests/suites/$$s.sh || e=1; done; exit $$e

check-kernels:
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)BUILD=$(BUILD) bash tests/kernels/matrix.sh

# Every fuzzer for FUZZ_SECONDS; what it finds new is added to its corpus in the tree.
fuzz:
	$(Q)$(MAKE) --no-print-directory $(FUZZ)
	$(Q)for f in $(FUZZ); do echo "$$f"; $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=0 -verbosity=0 \
		-artifact_prefix=$(BUILD)/fuzz/ tests/fuzz/corpus/$${f##*/} || exit 1; done

lint:
	$(Q)BUILD=$(BUILD) bash tests/lib/lint.sh

bench:
	$(Q)$(MAKE) --no-print-directory all $(BENCH)
	$(Q)BUILD=$(BUILD) bash bench/run.sh

# Configuration of engines, with the place of the binary put in.
OCI_EXAMPLES := containers.conf daemon.json containerd.toml runtimeclass.yaml workflow.yml

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/gabion/apparmor \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 $(BUILD)/gabion $(DESTDIR)$(PREFIX)/bin/gabion
	ln -sf gabion $(DESTDIR)$(PREFIX)/bin/gabion-oci
	install -m 644 docs/gabion.1 $(DESTDIR)$(PREFIX)/share/man/man1/gabion.1
	install -m 644 docs/gabion-policy.5 $(DESTDIR)$(PREFIX)/share/man/man5/gabion-policy.5
	install -d $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/gabion/oci
	install -m 644 docs/gabion-oci.8 $(DESTDIR)$(PREFIX)/share/man/man8/gabion-oci.8
	for f in $(OCI_EXAMPLES); do sed 's|@BINDIR@|$(PREFIX)/bin|' docs/oci/$$f > $(DESTDIR)$(PREFIX)/share/gabion/oci/$$f || exit 1; done
	sed 's|@BINDIR@|$(PREFIX)/bin|' docs/apparmor/gabion > $(DESTDIR)$(PREFIX)/share/gabion/apparmor/gabion
	$(BUILD)/gabion completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gabion
	$(BUILD)/gabion completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gabion
	$(BUILD)/gabion completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gabion.fish

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/gabion $(DESTDIR)$(PREFIX)/bin/gabion-oci $(DESTDIR)$(PREFIX)/share/man/man1/gabion.1 \
		$(DESTDIR)$(PREFIX)/share/man/man5/gabion-policy.5 \
		$(DESTDIR)$(PREFIX)/share/gabion/apparmor/gabion $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gabion \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gabion $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gabion.fish
	rm -f $(DESTDIR)$(PREFIX)/share/man/man8/gabion-oci.8 $(OCI_EXAMPLES:%=$(DESTDIR)$(PREFIX)/share/gabion/oci/%)
	-rmdir $(DESTDIR)$(PREFIX)/share/gabion/oci $(DESTDIR)$(PREFIX)/share/gabion/apparmor $(DESTDIR)$(PREFIX)/share/gabion 2>/dev/null

clean:
	rm -rf build build-san

-include $(OBJS:.o=.d) $(UNIT:=.d) $(GUEST:=.d) $(FLOOR:=.d) $(BENCH:=.d)
