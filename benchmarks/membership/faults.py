"""Packets that get lost: classic BPF programs that tc(8) hangs on an interface.

The kernel runs them where a packet arrives or leaves, outside the sender's call: nothing is refused
and no error comes back, as when a cable is cut. They need neither netem nor netfilter.
"""

Instruction = tuple[int, int, int, int]
Program = tuple[Instruction, ...]

_LOAD_WORD, _LOAD_HALF = 0x20, 0x28
_GREATER, _EQUAL, _RETURN = 0x25, 0x15, 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM in linux/filter.h
_ETHERTYPE_AT, _ARP = 12, 0x0806
_PASS, _DROP = 0, 2  # TC_ACT_OK and TC_ACT_SHOT in linux/pkt_cls.h

ALL_BUT_ARP: Program = (
    (_LOAD_HALF, 0, 0, _ETHERTYPE_AT),
    (_EQUAL, 0, 1, _ARP),
    (_RETURN, 0, 0, _PASS),
    (_RETURN, 0, 0, _DROP),
)
"""Drops everything but the questions who has an address, whose failing would be an error."""


def lost(share: float) -> Program:
    """Drops this share of all packets, each by its own random number."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"a share of packets to lose must be between 0 and 1, not {share}")
    return (
        (_LOAD_WORD, 0, 0, _RANDOM),
        (_GREATER, 1, 0, int(share * 2**32)),
        (_RETURN, 0, 0, _DROP),
        (_RETURN, 0, 0, _PASS),
    )


def filtered(interface: str, direction: str, program: Program) -> tuple[str, str]:
    """Commands of tc that let what passes there (``ingress`` or ``egress``) meet the program."""
    text = ",".join(
        [str(len(program)), *(" ".join(map(str, instruction)) for instruction in program)]
    )
    return (
        f"qdisc add dev {interface} clsact",
        f"filter add dev {interface} {direction} prio 1 bpf da bytecode '{text}'",
    )


def unfiltered(interface: str) -> str:
    """The command of tc that takes all of that away."""
    return f"qdisc del dev {interface} clsact"
