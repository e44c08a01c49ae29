# A guest that does what every 64-bit kernel does first: from the reset vector through real and protected mode to long
# mode with paging, then cpuid, memory on many pages, page-table changes seen through INVLPG, a CR3 reload and a page
# fault, SSE2, and a long loop. It reports through QEMU's isa-debug-exit device. A host whose KVM cannot run this in a
# second cannot run Linux. The loop tells hardware from KVM interpreting the guest: seen under PVM, where everything
# above works and a kernel still takes for ever.
# (AMD64 Architecture Programmer's Manual, volume 2, sections 5.3, 8.4, 14.6-14.8.)
#
# Flat code without relocations. It appears at ROM (the last 4 KiB below 4 GiB, where the reset vector jumps to) and
# copies itself to RAM. `as --64 probe-guest.S -o x.o && objcopy -O binary -j .text x.o x.bin`; probe-guest.ts holds the
# result.

        .set ROM, 0xfffff000
        .set RAM, 0x8000
        .set PML4, 0x10000              # page tables: one page each, then the IDT
        .set PDPT, 0x11000
        .set PD, 0x12000
        .set PT, 0x13000
        .set IDT, 0x14000
        .set DATA, 0x20000              # 64 pages that are written and read back
        .set DATA_END, 0x60000
        .set WINDOW, 0x100000           # the page whose mapping changes
        .set WINDOW_PTE, PT + 8 * (WINDOW >> 12)
        .set SPINS, 1 << 24             # 2^25 instructions: about 10 ms on hardware, 50 ms under TCG
        .set EXIT_PORT, 0xf4
        .set WORKS, 0x31                # QEMU ends with 2 * value + 1: 99
        .set BROKEN, 0x11               # 35

        .text
        .code16
start:
        cli
        lgdtl   %cs:(0xf000 + rom_gdtr - start)
        movl    %cr0, %eax
        orl     $1, %eax                # PE
        movl    %eax, %cr0
        ljmpl   $0x08, $(ROM + protected - start)

        .code32
protected:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        cld
        movl    $ROM, %esi
        movl    $RAM, %edi
        movl    $(end - start), %ecx
        rep movsb
        ljmpl   $0x08, $(RAM + tables - start)

tables:                                 # from here on the copy in RAM runs
        lgdtl   (RAM + ram_gdtr - start)
        xorl    %eax, %eax
        movl    $PML4, %edi
        movl    $(5 * 1024), %ecx
        rep stosl
        movl    $(PDPT + 3), PML4       # 3: present, writable
        movl    $(PD + 3), PDPT
        movl    $(PT + 3), PD
        movl    $PT, %edi
        movl    $3, %eax
1:      movl    %eax, (%edi)            # the first 2 MiB, identity, 4 KiB pages
        addl    $0x1000, %eax
        addl    $8, %edi
        cmpl    $(PT + 0x1000), %edi
        jb      1b
        movl    %cr4, %eax
        orl     $0x20, %eax             # PAE
        movl    %eax, %cr4
        movl    $PML4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       # EFER
        rdmsr
        orl     $0x100, %eax            # LME
        wrmsr
        movl    %cr0, %eax
        orl     $0x80010000, %eax       # PG, WP
        movl    %eax, %cr0
        ljmpl   $0x18, $(RAM + long_mode - start)

        .code64
long_mode:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $RAM, %esp              # grows down from the code
        xorl    %ebp, %ebp
        movl    $(RAM + page_fault - start), IDT + 14 * 16
        movw    $0x18, IDT + 14 * 16 + 2
        movl    $0x8e00, IDT + 14 * 16 + 4
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
        movq    %rsi, WINDOW + 8        # written through the window, read at its own address
        cmpq    %rsi, DATA + 0x2000 + 8
        jne     broken
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

        movb    $WORKS, %al
        outb    %al, $EXIT_PORT
        jmp     halt
broken:
        movb    $BROKEN, %al
        outb    %al, $EXIT_PORT
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
        .quad   0x00cf9b000000ffff      # 0x08: 32-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
        .quad   0x00af9b000000ffff      # 0x18: 64-bit code
gdt_end:
rom_gdtr:
        .word   gdt_end - gdt - 1
        .long   ROM + gdt - start
ram_gdtr:
        .word   gdt_end - gdt - 1
        .long   RAM + gdt - start
idtr:   .word   15 * 16 - 1
        .quad   IDT
end:
