# The probe guest of ../qemu/probe-guest.S for Firecracker, which enters a kernel in long mode with the first gigabyte mapped to
# itself (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"): cpuid, memory on many pages, page-table changes seen
# through INVLPG, a CR3 reload and a page fault, SSE2, and a long loop, which tells hardware from KVM interpreting the guest:
# seen under PVM, where a kernel runs under Firecracker and takes minutes to boot.
#
# It says so on the serial port, and resets by the keyboard controller, which ends Firecracker.
#
# Flat code without relocations, loaded at RAM. `as --64 probe-guest.S -o x.o && objcopy -O binary -j .text x.o x.bin`;
# probe-guest.ts holds the result.

        .set RAM, 0x100000
        .set PML4, 0x10000              # page tables: one page each, then the IDT
        .set PDPT, 0x11000
        .set PD, 0x12000
        .set PT, 0x13000
        .set IDT, 0x14000
        .set DATA, 0x20000              # 64 pages that are written and read back
        .set DATA_END, 0x60000
        .set WINDOW, 0x180000           # the page whose mapping changes
        .set WINDOW_PTE, PT + 8 * (WINDOW >> 12)
        .set SPINS, 1 << 24             # 2^25 instructions: about 10 ms on hardware
        .set SERIAL, 0x3f8
        .set KEYBOARD, 0x64
        .set RESET, 0xfe

        .text
        .code64
start:
        cli
        cld
        movl    $(PML4 - 0x100), %esp
        lgdtq   RAM + gdtr - start
        pushq   $0x08
        pushq   $(RAM + reloaded - start)
        lretq
reloaded:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        xorl    %ebp, %ebp

        xorl    %eax, %eax
        movl    $PML4, %edi
        movl    $(5 * 1024), %ecx
        rep stosl
        movl    $(PDPT + 3), PML4       # 3: present, writable
        movl    $(PD + 3), PDPT
        movl    $(PT + 3), PD
        movl    $PT, %edi
        movl    $3, %eax
1:      movl    %eax, (%rdi)            # the first 2 MiB, identity, 4 KiB pages
        addl    $0x1000, %eax
        addl    $8, %edi
        cmpl    $(PT + 0x1000), %edi
        jb      1b
        movl    $PML4, %eax
        movq    %rax, %cr3

        movl    $(RAM + page_fault - start), IDT + 14 * 16
        movw    $0x08, IDT + 14 * 16 + 2
        movw    $0x8e00, IDT + 14 * 16 + 4
        movw    $((RAM >> 16) & 0xffff), IDT + 14 * 16 + 6
        lidtq   RAM + idtr - start

        xorl    %eax, %eax
        cpuid
        testl   %eax, %eax
        jz      broken
        movl    $0x80000001, %eax
        cpuid
        btl     $29, %edx               # LM
        jnc     broken

        movabsq $0xb4a6e1c35d7f9281, %rsi
        movl    $DATA, %edi
1:      movq    %rdi, %rax
        xorq    %rsi, %rax
        movq    %rax, (%rdi)
        addl    $0x1000, %edi
        cmpl    $DATA_END, %edi
        jb      1b
        movl    $DATA, %edi
1:      movq    %rdi, %rax
        xorq    %rsi, %rax
        cmpq    %rax, (%rdi)
        jne     broken
        addl    $0x1000, %edi
        cmpl    $DATA_END, %edi
        jb      1b

        movl    $DATA, %edi             # remap, INVLPG
        call    remap
        invlpg  WINDOW
        call    compare
        movl    $(DATA + 0x1000), %edi
        call    remap
        invlpg  WINDOW
        call    compare
        movl    $(DATA + 0x2000), %edi  # remap, CR3 reload
        call    remap
        movq    %cr3, %rax
        movq    %rax, %cr3
        call    compare
        movq    $0, WINDOW_PTE          # unmap: the page fault handler maps the fourth page
        invlpg  WINDOW
        movl    $(DATA + 0x3000), %edi
        call    compare
        testl   %ebp, %ebp              # set by the handler
        jz      broken

        movq    %cr4, %rax              # SSE2, which every x86-64 kernel's programs use
        orl     $0x200, %eax            # OSFXSR
        movq    %rax, %cr4
        movq    %rsi, %xmm0
        paddq   %xmm0, %xmm0
        movq    %xmm0, %rax
        leaq    (%rsi, %rsi), %rdx
        cmpq    %rdx, %rax
        jne     broken

        movl    $SPINS, %ecx            # too slow means that KVM interprets every instruction
1:      decl    %ecx
        jnz     1b

        movl    $(RAM + works - start), %esi
        jmp     say
broken:
        movl    $(RAM + wrong - start), %esi
say:    movw    $SERIAL, %dx
1:      lodsb
        testb   %al, %al
        jz      reset
        outb    %al, %dx
        jmp     1b
reset:  movb    $RESET, %al
        outb    %al, $KEYBOARD
halt:   hlt
        jmp     halt

remap:                                  # maps the page at rdi to the window
        leaq    3(%rdi), %rax
        movq    %rax, WINDOW_PTE
        ret

compare:                                # the window shows the page that was written at rdi
        movq    %rdi, %rax
        xorq    %rsi, %rax
        cmpq    %rax, WINDOW
        jne     broken
        ret

page_fault:
        movq    %cr2, %rbp
        cmpq    $WINDOW, %rbp
        jne     broken
        movq    $(DATA + 0x3000 + 3), WINDOW_PTE
        addq    $8, %rsp                # the error code
        iretq

        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      # 0x08: 64-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
gdt_end:
gdtr:   .word   gdt_end - gdt - 1
        .quad   RAM + gdt - start
idtr:   .word   15 * 16 - 1
        .quad   IDT
works:  .asciz  "banger: the probe guest ran\n"
wrong:  .asciz  "banger: the probe guest saw wrong results\n"
end:
