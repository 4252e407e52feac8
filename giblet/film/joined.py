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

    part: int = 0
    times: deque = field(default_factory=lambda: deque(maxlen=5))
    ends: deque = field(default_factory=lambda: deque(maxlen=12))

    def runs_back_to(self, time: float) -> bool:
        return bool(self.times) and time < median(self.times) - _BACK

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
        time = _time(packet)
        if time is None:
            yield packet
            continue
        stream = streams.setdefault(packet.stream_index, _Stream())
        if stream.runs_back_to(time + shifts[stream.part]):
            later = _later_times(packet.stream_index, source, ahead)
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
        stream.times.append(time + shift)
        stream.ends.append(_shifted_end(packet, shift))
        yield packet


def _time(packet: "av.Packet") -> float | None:
    stamp = packet.pts if packet.dts is None else packet.dts
    return None if stamp is None else float(stamp * packet.time_base)


def _later_times(index: int, source: Iterator["av.Packet"], ahead: deque) -> list[float]:
    """Timestamps (s) of the next packets of a stream; packets that are read go into ``ahead``."""
    times = [time for p in ahead if p.stream_index == index and (time := _time(p)) is not None]
    while len(times) < _N_AHEAD and len(ahead) < _MOST_AHEAD:
        packet = next(source, None)
        if packet is None:
            break
        ahead.append(packet)
        if packet.stream_index == index and (time := _time(packet)) is not None:
            times.append(time)
    return times[:_N_AHEAD]


def _shifted_end(packet: "av.Packet", shift: float) -> float:
    """Move a packet's timestamps by ``shift`` s; its end (s) by the new ones."""
    if shift:
        ticks = round(shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
    stamp = packet.dts if packet.pts is None else packet.pts
    return float((stamp + (packet.duration or 0)) * packet.time_base)
