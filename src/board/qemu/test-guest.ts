/**
 * The smallest guest whose answer means something: firmware that turns paging and 64-bit mode on (Intel SDM 3A, 11.8.5) and only
 * then writes to a port. A guest that stays in real mode proves nothing: KVM emulates that instruction by instruction, also on
 * hosts whose KVM never gets a kernel to run.
 */

/** A guest of one architecture whose only work is to answer. */
export interface TestGuest {
  /** The image for QEMU's `-bios`. */
  readonly firmware: () => Buffer;
  /** What its machine has besides. */
  readonly arguments: readonly string[];
  /** QEMU's, if the guest ran. */
  readonly exitCode: number;
}

/** QEMU's device isa-debug-exit ends it with twice the value that the guest writes, plus one. */
const answerValue = 0x15;
const answerPort = 0xf4;

const firmwareBytes = 64 * 1024;
/** Offsets in the firmware; the machine starts 16 bytes below the end, in a segment that shows the last 64 KiB below 4 GiB. */
const entry = 0xff00;
const descriptorTable = 0xffc0;
const tablePointer = 0xffd8;
const reset = 0xfff0;

/** One instruction a line, as an assembler gives them. Operands are 32 bits wide by the prefix 66. */
const program = `
fa                          cli
31 c0                       xor   ax, ax
8e d8                       mov   ds, ax
66 c7 06 00 10 03 20 00 00  mov   dword [0x1000], 0x2003      ; page map level 4, entry 0
66 c7 06 18 20 03 40 00 00  mov   dword [0x2018], 0x4003      ; directory pointer, 3 GiB
66 c7 06 f8 4f 83 00 e0 ff  mov   dword [0x4ff8], 0xffe00083  ; the last 2 MiB below 4 GiB: this code
66 c7 06 00 20 03 30 00 00  mov   dword [0x2000], 0x3003      ; directory pointer, 0 GiB
66 c7 06 00 30 83 00 00 00  mov   dword [0x3000], 0x83        ; the first 2 MiB: tables and stack
66 b8 00 10 00 00           mov   eax, 0x1000
0f 22 d8                    mov   cr3, eax
0f 20 e0                    mov   eax, cr4
66 83 c8 20                 or    eax, 0x20                   ; PAE
0f 22 e0                    mov   cr4, eax
66 b9 80 00 00 c0           mov   ecx, 0xc0000080             ; EFER
0f 32                       rdmsr
66 0d 00 01 00 00           or    eax, 0x100                  ; LME
0f 30                       wrmsr
2e 66 0f 01 16 d8 ff        lgdt  cs:[0xffd8]
0f 20 c0                    mov   eax, cr0
66 0d 01 00 00 80           or    eax, 0x80000001             ; PG, PE
0f 22 c0                    mov   cr0, eax
66 ea 70 ff ff ff 08 00     jmp   8:0xffffff70                ; the next instruction, in 64-bit mode
bc 00 70 00 00              mov   esp, 0x7000
48 b8 88 77 66 55 44 33 22 11  mov rax, 0x1122334455667788
50                          push  rax
5b                          pop   rbx
48 39 c3                    cmp   rbx, rax
75 04                       jne   halt
b0 15                       mov   al, answerValue
e6 f4                       out   answerPort, al
f4                          halt: hlt
eb fd                       jmp   halt
`;

export const x86TestGuest: TestGuest = {
  firmware: x86Firmware,
  arguments: ["-device", `isa-debug-exit,iobase=0x${answerPort.toString(16)},iosize=1`],
  exitCode: answerValue * 2 + 1,
};

function x86Firmware(): Buffer {
  const firmware = Buffer.alloc(firmwareBytes, 0xf4);
  firmware.set(assembled(), entry);
  firmware.writeBigUInt64LE(0n, descriptorTable);
  firmware.writeBigUInt64LE(0x0020_9a00_0000_0000n, descriptorTable + 8); // code, 64 bits, present
  firmware.writeUInt16LE(15, tablePointer);
  firmware.writeUInt32LE(0xffff_0000 + descriptorTable, tablePointer + 2);
  firmware.writeUInt8(0xe9, reset); // jmp entry
  firmware.writeInt16LE(entry - (reset + 3), reset + 1);
  return firmware;
}

function assembled(): Buffer {
  const lines = program.trim().split("\n");
  return Buffer.concat(
    lines.map((line) => Buffer.from((line.split("  ", 1)[0] ?? "").replaceAll(" ", ""), "hex")),
  );
}
