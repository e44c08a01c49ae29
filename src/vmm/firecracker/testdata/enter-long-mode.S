# From the reset vector to long mode with the first gigabyte mapped to itself, and on to RAM, as Firecracker enters a kernel: so
# that the probe guest can be run by an emulator. `as --64 enter-long-mode.S -o x.o && objcopy -O binary -j .text x.o x.bin`.

        .set ROM, 0xfffff000
        .set RAM, 0x100000
        .set PML4, 0x70000
        .set PDPT, 0x71000

        .text
        .code16
start:
        cli
        lgdtl   %cs:(0xf000 + gdtr - start)
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
        movl    $(PDPT + 3), PML4       # 3: present, writable
        movl    $0, PML4 + 4
        movl    $0x83, PDPT             # one page of 1 GiB
        movl    $0, PDPT + 4
        movl    $0xc0000083, PDPT + 24  # and the one that this code is in
        movl    $0, PDPT + 28
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
        orl     $0x80000000, %eax       # PG
        movl    %eax, %cr0
        ljmpl   $0x18, $RAM

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 0x08: 32-bit code
        .quad   0x00cf93000000ffff      # 0x10: data
        .quad   0x00af9b000000ffff      # 0x18: 64-bit code
gdt_end:
gdtr:   .word   gdt_end - gdt - 1
        .long   ROM + gdt - start
