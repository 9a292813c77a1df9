# Tenon. `make run` answers a question with the bundled model, `make test` runs every test; both
# install what they lack (tools/deps). `make help` lists the rest.
#
# Sources are found by wildcard: a new file needs no edit here. Variables:
#   CC=clang         another compiler
#   OPT=-O2          optimisation
#   SAN=address,undefined   or SAN=thread: instrumented build in a folder of its own

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
OPT     ?= -O2
SAN     ?=
comma   := ,
VARIANT := $(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(TAG),-$(TAG))
B       := build$(VARIANT:-%=/%)
PREFIX  ?= /usr/local
JOBS    ?= $(shell nproc)

VERSION := $(shell cat VERSION)
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
           -Wpointer-arith -Wcast-qual -Wwrite-strings -Werror
# At -O1 gcc sees that a long message may be cut; it may (base/err.h).
WARN    += $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
FP      := -ffp-contract=off -fno-fast-math
CFLAGS  := -std=c17 -D_GNU_SOURCE -DTENON_VERSION='"$(VERSION)"' $(OPT) -g -fno-omit-frame-pointer \
           -fstack-protector-strong -fPIE -pthread $(WARN) $(FP) -Isrc
LDFLAGS := -pthread -pie -Wl,-z,relro,-z,now
LDLIBS  := -levent_openssl -levent -ljansson -lutf8proc -lxxhash -lssl -lcrypto -lm
ifneq ($(SAN),)
CFLAGS  += -fsanitize=$(SAN) -fno-sanitize-recover=all -DTENON_SANITIZED=1
LDFLAGS += -fsanitize=$(SAN)
endif

ARCH    := $(shell $(CC) -dumpmachine | cut -d- -f1)
ifeq ($(ARCH),x86_64)
ISA_avx2    := -mavx2 -mfma -mf16c
ISA_avxvnni := $(ISA_avx2) -mavxvnni
ISA_avx512  := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
SKIP       := %_neon.c %_i8mm.c
else ifeq ($(ARCH),aarch64)
SKIP       := %_avx2.c %_avxvnni.c %_avx512.c
ISA_neon   := -march=armv8.2-a+dotprod+fp16
ISA_i8mm   := $(ISA_neon)+i8mm
else
SKIP       := %_avx2.c %_avxvnni.c %_avx512.c %_neon.c %_i8mm.c
endif

LIB_SRC  := $(filter-out $(SKIP),$(sort $(wildcard src/*/*.c)))
LIB_SRC  := $(filter-out src/cli/main.c,$(LIB_SRC))
PAGE_SRC := $(sort $(wildcard src/serve/page/*))
LIB_OBJ  := $(LIB_SRC:%.c=$B/%.o) $(PAGE_SRC:%=$B/%.o)
TEST_SRC := $(filter-out $(SKIP),$(sort $(wildcard tests/*/test_*.c)))
TEST_BIN := $(TEST_SRC:%.c=$B/%)
TEST_AUX := $(patsubst %.c,$B/%.o,$(sort $(wildcard tests/support/*.c)))
FUZZ_SRC := $(sort $(wildcard fuzz/fuzz_*.c))
TOOL_SRC := $(sort $(wildcard tools/*.c bench/*.c))
TOOL_BIN := $(TOOL_SRC:%.c=$B/%)

.PHONY: all run test test-build test-gates test-page test-llama test-train test-clients lint fuzz fuzz-build install clean help tools deps
.SECONDARY:

all: deps $B/tenon

# Installs what is missing; says so, and does nothing when nothing is.
deps:
	@tools/deps --check || tools/deps

$B/tenon: $B/src/cli/main.o $B/libtenon.a
	@echo "  ld $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/libtenon.a: $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

# Plain loops of ops, which the compiler makes vectors of what every processor has. Another OPT holds for all.
ifeq ($(OPT),-O2)
$(patsubst %,$B/src/cpu/%.o,attend experts hyper rows select vec): CFLAGS += -O3
endif
$B/%_avx2.o: CFLAGS += $(ISA_avx2)
$B/%_avxvnni.o: CFLAGS += $(ISA_avxvnni)
$B/%_avx512.o: CFLAGS += $(ISA_avx512)
$B/%_neon.o: CFLAGS += $(ISA_neon)
$B/%_i8mm.o: CFLAGS += $(ISA_i8mm)
$B/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc $<"
	@$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# A file of the chat page as bytes between page_NAME_EXT and page_NAME_EXT_end.
$B/src/serve/page/%.o: src/serve/page/%
	@mkdir -p $(@D)
	@echo "  as $<"
	@n=page_$$(echo $* | tr . _); printf '%s\n' ".section .rodata" ".global $$n" ".global $${n}_end" "$$n:" \
	    ".incbin \"$<\"" "$${n}_end:" ".byte 0" ".section .note.GNU-stack,\"\"" | \
	    $(CC) -c -x assembler -o $@ -

# What the gates put between a program and its files; plain, whatever the program is.
$B/tests/gates/%.so: tests/gates/%.c
	@mkdir -p $(@D)
	@$(CC) -std=c17 -D_GNU_SOURCE -O2 -g -fPIC -shared -pthread $(WARN) -o $@ $<

$B/tests/%: $B/tests/%.o $(TEST_AUX) $B/libtenon.a
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# The corpus of each fuzz target replays in the tests: fuzz/replay.c gives main().
$B/fuzz/replay_%: $B/fuzz/fuzz_%.o $B/fuzz/replay.o $B/libtenon.a
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/tools/% $B/bench/%: $B/%.o
$B/tools/%: $B/tools/%.o $B/libtenon.a
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/bench/%: $B/bench/%.o $B/libtenon.a
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

REPLAY_BIN := $(FUZZ_SRC:fuzz/fuzz_%.c=$B/fuzz/replay_%)

tools: $(TOOL_BIN)

test-build: deps $B/tenon $(TEST_BIN) $(REPLAY_BIN) $(TOOL_BIN)

# tools/run-tests runs every test program, replays every corpus, prints one line each and a summary
# "N passed, N failed".
test:
	@tools/deps --check || tools/deps
	@$(MAKE) --no-print-directory -j$(JOBS) test-build
	@BUILD=$B tools/run-tests $(TESTS)

# Does the server stand what clients may do to it? Minutes; GATES="--full hostile" for one as long as it should be.
test-gates:
	@tools/deps --check || tools/deps
	@$(MAKE) --no-print-directory -j$(JOBS) $B/tenon $B/tests/gates/disk_shim.so $B/tests/gates/disk_driver
	@BUILD=$B tests/gates/run $(GATES)

# The chat page in a real browser (installs one the first time); pictures go to build/page/.
test-page:
	@tools/deps --check && tools/deps --check page || { tools/deps && tools/deps page; }
	@$(MAKE) --no-print-directory -j$(JOBS) $B/tenon
	@/usr/bin/python3 tests/page/test_page.py $B/tenon models/nano $(TESTS)

# Optional: does llama.cpp read what Tenon writes? Builds llama.cpp (minutes), needs the network.
test-llama: $B/tenon
	@tools/test-llama $B/tenon

# Optional: the trainer's tests and a small run of the whole (generate, train, quantise, export, evaluate).
# Makes a virtual environment with PyTorch the first time (needs the network).
test-train:
	@tools/deps --check || tools/deps
	@$(MAKE) --no-print-directory -j$(JOBS) $B/tenon
	@tools/train/test $B/tenon

# Optional: the clients of others (openai, anthropic, lm-eval, curl) against a server, each in a virtual
# environment of its own, made the first time (needs the network).
test-clients:
	@tools/deps --check || tools/deps
	@$(MAKE) --no-print-directory -j$(JOBS) $B/tenon
	@tests/clients/run $B/tenon

lint:
	@tools/deps --check || tools/deps
	@tools/lint

# libFuzzer programs, built by clang into build/fuzz/; run: build/fuzz/fuzz_gguf fuzz/corpus/gguf
fuzz:
	@tools/deps --check || tools/deps
	@$(MAKE) --no-print-directory -j$(JOBS) CC=clang SAN=address,undefined,fuzzer-no-link \
	    TAG=fuzz fuzz-build
FUZZ_BIN := $(FUZZ_SRC:%.c=$B/%)
fuzz-build: $(FUZZ_BIN)
$B/fuzz/fuzz_%: $B/fuzz/fuzz_%.o $B/libtenon.a
	@mkdir -p build/fuzz
	@$(CC) $(LDFLAGS) -fsanitize=address,undefined,fuzzer -o $@ $^ $(LDLIBS)
	@cp $@ build/fuzz/

run:
	@tools/deps --check || tools/deps
	@$(MAKE) --no-print-directory -j$(JOBS) $B/tenon
	@tools/first-run $B/tenon

install: $B/tenon
	install -D $B/tenon $(DESTDIR)$(PREFIX)/bin/tenon

clean:
	rm -rf build

help:
	@sed -n '1,/^$$/p' Makefile | sed 's/^# \{0,1\}//'
	@echo "targets: all run test test-gates test-page lint fuzz test-llama test-train test-clients tools install clean"

-include $(shell [ -d $B ] && find $B -name '*.d' 2>/dev/null)
