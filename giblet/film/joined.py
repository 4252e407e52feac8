"""Joined files: timestamps that start again are continued.

Recordings that were joined byte by byte (``cat a.ts b.ts``, chained Ogg, a receiver that was
restarted) start their timestamps again at each part. Each part is moved to where the part before
it ends: one shift for all its streams, so that sound and video stay in step.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

logger = logging.getLogger(__name__)

LONGEST_GAP = 6 * 3600  # s: no film pauses for so long; its timestamps are wrong
_BACK = 0.1  # s: what runs back by more starts again (ffmpeg's rule for MPEG-TS)
_N_AHEAD = 3  # packets of the same stream that must agree
_MOST_AHEAD = 500  # packets held


@dataclass
class _Stream:
    """Timestamps (s, as shifted) of a stream's latest packets."""

    tick: float  # s
    part: int = 0
    times: deque = field(default_factory=lambda: deque(maxlen=5))
    ends: deque = field(default_factory=lambda: deque(maxlen=12))

    def runs_back_to(self, time: float) -> bool:
        if not self.times or time >= self.times[-1]:  # in most files, always
            return False
        return time < median(self.times) - _BACK

    def end(self) -> float:
        """End (s) of the latest packet; a single packet with a wrong stamp does not count."""
        middle = median(self.ends)
        return max(end for end in self.ends if end - middle < 1)


def continued(packets: Iterable["av.Packet"], zero: float, name: str) -> Iterator["av.Packet"]:
    """The packets of all streams of a file, in its order, with timestamps that go on.

    A packet that runs back by more than 0.1 s starts a new part if those that follow agree;
    every part is logged as a warning under ``name``. ``zero``: timestamp (s) of film time 0.
    """
    streams: dict[int, _Stream] = {}
    shifts = [0.0]  # s, of each part
    source, ahead = iter(packets), deque()
    while True:
        packet = ahead.popleft() if ahead else next(source, None)
        if packet is None:
            return
        stamp = packet.dts
        if stamp is None and (stamp := packet.pts) is None:
            yield packet
            continue
        index = packet.stream_index
        stream = streams.get(index)
        if stream is None:
            stream = streams[index] = _Stream(float(packet.time_base))
        time = stamp * stream.tick
        if stream.runs_back_to(time + shifts[stream.part]):
            later = [stream.tick * each for each in _later_stamps(index, source, ahead)]
            if later and stream.runs_back_to(max(later) + shifts[stream.part]):
                stream.part += 1
                if stream.part == len(shifts):
                    shifts.append(max(s.end() for s in streams.values() if s.ends) - time)
                    logger.warning(
                        "%s: its timestamps start again at %.2f s: parts that were joined?",
                        *(name, shifts[-1] + time - zero),
                    )
                stream.times.clear()
        shift = shifts[stream.part]
        if shift:
            _move(packet, round(shift / stream.tick))
        shown = packet.pts
        end = (stamp if shown is None else shown) + (packet.duration or 0)
        stream.times.append(time + shift)
        stream.ends.append(end * stream.tick + (shift if shown is None else 0.0))
        yield packet


def _later_stamps(index: int, source: Iterator["av.Packet"], ahead: deque) -> list[int]:
    """Timestamps (ticks) of the next packets of a stream; those read go into ``ahead``."""
    stamps = [_stamp(packet) for packet in ahead if packet.stream_index == index]
    while len(stamps) < _N_AHEAD and len(ahead) < _MOST_AHEAD:
        packet = next(source, None)
        if packet is None:
            break
        ahead.append(packet)
        if packet.stream_index == index:
            stamps.append(_stamp(packet))
    return [stamp for stamp in stamps if stamp is not None][:_N_AHEAD]


def _stamp(packet: "av.Packet") -> int | None:
    return packet.pts if packet.dts is None else packet.dts


def _move(packet: "av.Packet", ticks: int) -> None:
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks
