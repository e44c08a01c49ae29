# The smallest guest with a PVH entry point: says one line on the first serial port and sleeps for ever. Entered in
# 32-bit protected mode with flat segments and paging off (Xen's docs/misc/pvh.pandoc).
#
# `as --32 idle-guest.S -o x.o && objcopy -O binary -j .text x.o x.bin`; idle-guest.ts holds the result and wraps it in an ELF.

        .set LOAD, 0x100000

        .text
        .code32
start:
        cli
        cld
        movl    $(LOAD + message - start), %esi
        movw    $0x3f8, %dx
1:      lodsb
        testb   %al, %al
        jz      2f
        outb    %al, %dx
        jmp     1b
2:      hlt
        jmp     2b
message:
        .asciz  "idle guest\n"
