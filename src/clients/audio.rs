//! A recording on its way from one provider to another: in a file without a name, which is gone when the process is,
//! however it ends. Never as a whole in memory.

use std::{fs::File, io::SeekFrom, ops::Range};

use tokio::{
    fs,
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};
use tollkeeper_jobs::telephony::mp3::{Cutter, Uncuttable};

use super::ClientError;

/// The whole of a recording.
pub struct Audio {
    file: File,
    parts: Vec<Range<u64>>,
}

/// Why a recording is not in its file.
#[derive(Debug, thiserror::Error)]
pub enum NotSaved {
    #[error(transparent)]
    Lost(#[from] ClientError),
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error(transparent)]
    Uncuttable(#[from] Uncuttable),
    #[error("the temporary file: {0}")]
    File(#[from] std::io::Error),
}

impl Audio {
    /// The parts in which it is handed over: bytes from and to.
    pub fn parts(&self) -> &[Range<u64>] {
        &self.parts
    }

    /// One of its parts, from its beginning. One reader at a time: all of them move the same place in the file.
    pub(super) async fn read(
        &self,
        part: &Range<u64>,
    ) -> std::io::Result<impl AsyncRead + Send + Sync + use<>> {
        let mut file = fs::File::from_std(self.file.try_clone()?);
        file.seek(SeekFrom::Start(part.start)).await?;
        Ok(file.take(part.end - part.start))
    }
}

/// A recording that is being written to its file.
pub(super) struct Saving {
    file: fs::File,
    cutter: Cutter,
    bytes: u64,
    bytes_max: u64,
}

impl Saving {
    pub fn begin(bytes_max: u64, part_bytes_max: u64) -> Result<Saving, NotSaved> {
        Ok(Saving {
            file: fs::File::from_std(tempfile::tempfile()?),
            cutter: Cutter::new(part_bytes_max),
            bytes: 0,
            bytes_max,
        })
    }

    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), NotSaved> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(NotSaved::TooLarge(self.bytes_max));
        }
        self.cutter.feed(chunk);
        Ok(self.file.write_all(chunk).await?)
    }

    pub async fn finish(mut self) -> Result<Audio, NotSaved> {
        self.file.flush().await?;
        Ok(Audio {
            parts: self.cutter.finish()?,
            file: self.file.into_std().await,
        })
    }
}
