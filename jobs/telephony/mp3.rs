//! Where an MP3 file may be cut: between two frames, found while it streams by. Nothing is decoded, and no more of the
//! file is held than four bytes.
//!
//! A frame may borrow bits of the one before it, so the first of a part can be unheard: some 70 ms. What is cut is only
//! what is larger than an endpoint takes, at 32 kbit/s more than an hour and a half.

use std::ops::Range;

/// Looks for the frames of a file, and notes where it is to be cut.
pub struct Cutter {
    part_max: u64,
    /// So many bytes went by.
    seen: u64,
    /// The last four bytes, the newest in the lowest place.
    window: u32,
    /// Where the next frame begins if the one before was one.
    frame_at: Option<u64>,
    part_starts_at: u64,
    /// The last place at which this part may end.
    may_end_at: Option<u64>,
    parts: Vec<Range<u64>>,
    is_uncuttable: bool,
}

/// No place to cut was found within the size of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is too large to be handed over as a whole, and is no MP3 that could be cut")]
pub struct Uncuttable;

impl Cutter {
    /// No part shall be larger than that, in bytes.
    pub fn new(part_max: u64) -> Cutter {
        Cutter {
            part_max,
            seen: 0,
            window: 0,
            frame_at: None,
            part_starts_at: 0,
            may_end_at: None,
            parts: Vec::new(),
            is_uncuttable: false,
        }
    }

    /// The next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.window = self.window << 8 | u32::from(*byte);
            self.seen += 1;
            if self.seen >= 4 {
                self.look_at(self.seen - 4);
            }
            // Only what is known to be too large is cut.
            if self.seen - self.part_starts_at > self.part_max {
                self.cut();
            }
        }
    }

    /// The parts, which together are the whole file.
    pub fn finish(mut self) -> Result<Vec<Range<u64>>, Uncuttable> {
        if self.is_uncuttable {
            return Err(Uncuttable);
        }
        self.parts.push(self.part_starts_at..self.seen);
        Ok(self.parts)
    }

    /// Whether a frame begins where the window does. In step with the frames only the place that is due is looked at;
    /// out of step the first header leads to the next, and two in a row are no chance.
    fn look_at(&mut self, place: u64) {
        let is_due = self.frame_at == Some(place);
        if self.frame_at.is_some_and(|due| place < due) {
            return;
        }
        match frame_bytes(self.window) {
            Some(bytes) => {
                if is_due && place > self.part_starts_at {
                    self.may_end_at = Some(place);
                }
                self.frame_at = Some(place + bytes);
            }
            None => self.frame_at = None,
        }
    }

    fn cut(&mut self) {
        match self.may_end_at.take() {
            Some(end) => {
                self.parts.push(self.part_starts_at..end);
                self.part_starts_at = end;
            }
            None => self.is_uncuttable = true,
        }
    }
}

/// In kbit/s, of layer III: MPEG-1, and MPEG-2 and 2.5.
const KBITS: [[u64; 15]; 2] = [
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// In Hz, of MPEG-1; half of it in MPEG-2, a quarter in 2.5.
const HERTZ: [u64; 3] = [44_100, 48_000, 32_000];

/// How long the frame is that begins with this header (ISO 11172-3, 2.4.1.3). None: it is no header of layer III, or one
/// without a bit rate, whose length nobody can tell.
fn frame_bytes(header: u32) -> Option<u64> {
    let field = |shift: u32, bits: u32| (header >> shift & ((1 << bits) - 1)) as usize;
    if field(21, 11) != 0x7ff || field(17, 2) != 1 {
        return None;
    }
    let (is_first, divisor) = match field(19, 2) {
        3 => (true, 1),
        2 => (false, 2),
        0 => (false, 4),
        _ => return None,
    };
    let kbits = *KBITS[usize::from(!is_first)].get(field(12, 4))?;
    let hertz = HERTZ.get(field(10, 2))? / divisor;
    let samples_by_8 = if is_first { 144 } else { 72 };
    let padding = field(9, 1) as u64;
    (kbits > 0).then(|| samples_by_8 * kbits * 1000 / hertz + padding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// MPEG-2.5, 32 kbit/s, 8 kHz, mono: 288 bytes each, as Twilio's recordings are about.
    const HEADER: [u8; 4] = [0xff, 0xe3, 0x48, 0xc0];
    const FRAME: usize = 288;

    fn frames(count: usize, filling: u8) -> Vec<u8> {
        let frame = [&HEADER[..], &[filling; FRAME - 4]].concat();
        frame.repeat(count)
    }

    fn parts(file: &[u8], part_max: u64, chunk: usize) -> Result<Vec<Range<u64>>, Uncuttable> {
        let mut cutter = Cutter::new(part_max);
        file.chunks(chunk).for_each(|chunk| cutter.feed(chunk));
        cutter.finish()
    }

    #[test]
    fn a_header_tells_how_long_its_frame_is() {
        for (header, bytes) in [
            ([0xff, 0xfb, 0x90, 0x64], Some(417)),
            ([0xff, 0xfb, 0x92, 0x64], Some(418)),
            ([0xff, 0xf3, 0x40, 0xc0], Some(104)),
            (HEADER, Some(288)),
            // No synchronization, another layer, no bit rate, an impossible one, an impossible version.
            ([0xff, 0x1b, 0x90, 0x64], None),
            ([0xff, 0xfd, 0x90, 0x64], None),
            ([0xff, 0xfb, 0x00, 0x64], None),
            ([0xff, 0xfb, 0xf0, 0x64], None),
            ([0xff, 0xeb, 0x90, 0x64], None),
        ] {
            assert_eq!(
                frame_bytes(u32::from_be_bytes(header)),
                bytes,
                "{header:x?}"
            );
        }
    }

    #[test]
    fn what_fits_stays_whole_whatever_it_is() {
        for file in [&b""[..], b"RIFF", &frames(10, 0)] {
            let whole = 0..file.len() as u64;
            assert_eq!(parts(file, 2880, 7).as_deref(), Ok(&[whole][..]));
        }
    }

    #[test]
    fn what_is_too_large_and_no_mp3_cannot_be_cut() {
        assert_eq!(parts(&[0; 2881], 2880, 100), Err(Uncuttable));
        // A part has to hold a frame at least.
        assert_eq!(parts(&frames(10, 0), 200, 100), Err(Uncuttable));
    }

    proptest! {
        /// Whatever stands before the first frame (a tag, a picture), however it streams by.
        #[test]
        fn the_parts_are_the_whole_file_each_fits_and_each_begins_with_a_frame(
            tag in prop::collection::vec(0..=0xfe_u8, 0..1000),
            count in 6..60_usize,
            filling in 0..=0xfe_u8,
            part_frames in 6..20_u64,
            chunk in 1..700_usize,
        ) {
            let file = [tag.clone(), frames(count, filling)].concat();
            let part_max = part_frames * FRAME as u64;
            let parts = parts(&file, part_max, chunk).unwrap();

            prop_assert_eq!(parts[0].start, 0);
            prop_assert_eq!(parts[parts.len() - 1].end, file.len() as u64);
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
                prop_assert_eq!((pair[1].start - tag.len() as u64) % FRAME as u64, 0);
            }
            for part in &parts {
                prop_assert!(part.end - part.start <= part_max);
            }
        }

        #[test]
        fn no_bytes_break_it(file in prop::collection::vec(any::<u8>(), 0..4000), part_max in 0..1000_u64) {
            if let Ok(parts) = parts(&file, part_max, 100) {
                let total: u64 = parts.iter().map(|part| part.end - part.start).sum();
                prop_assert_eq!(total, file.len() as u64);
                prop_assert!(parts.iter().all(|part| part.end - part.start <= part_max));
            }
        }
    }
}
