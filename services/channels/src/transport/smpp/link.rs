//! One connection: frames in, frames out.

use std::io::{Error, ErrorKind};
use std::sync::Arc;

use rusmpp::decode::DecodeWithLength;
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::{Command, CommandId, CommandStatus};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::Encoder;

use super::Config;

/// A longer frame is no frame: the text of a message is at most 64 KiB, and a provider sends shorter ones.
const FRAME_BYTES_MAX: usize = 128 * 1024;

/// Length, command, status, sequence number.
const HEADER_BYTES: usize = 16;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a message centre.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    read: BytesMut,
    write: BytesMut,
}

/// What came in one frame.
#[derive(Debug)]
pub(super) enum Frame {
    /// A command.
    Whole(Box<Command>),
    /// Its body cannot be read; status and sequence number stand before that.
    Unreadable(CommandId, CommandStatus, u32),
}

/// How the server is known; none without TLS.
///
/// # Errors
/// In words, if the authorities cannot be read.
pub(super) fn tls(config: &Config) -> Result<Option<Arc<ClientConfig>>, String> {
    if !config.tls {
        return Ok(None);
    }
    let Some(file) = &config.tls_authorities else {
        let known = ClientConfig::with_platform_verifier();
        return known.map(|known| Some(Arc::new(known))).map_err(|error| format!("tls: {error}"));
    };
    let unreadable = |error: &dyn std::fmt::Display| format!("tls_authorities: {}: {error}", file.display());
    let mut authorities = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        authorities.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if authorities.is_empty() {
        return Err(unreadable(&"there is no certificate in it"));
    }
    let known = ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth();
    Ok(Some(Arc::new(known)))
}

impl Link {
    pub(super) async fn open(config: &Config, tls: Option<Arc<ClientConfig>>) -> Result<Self, Error> {
        let stream = TcpStream::connect((config.host.as_str(), config.port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(known) => {
                let name = ServerName::try_from(config.host.clone()).map_err(Error::other)?;
                Box::new(TlsConnector::from(known).connect(name, stream).await?)
            }
        };
        Ok(Link { stream, read: BytesMut::new(), write: BytesMut::new() })
    }

    /// The next frame; none at the end. May be dropped while it waits: nothing is lost.
    pub(super) async fn read(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            if let Some(frame) = cut(&mut self.read)? {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Writes a command whole. Not to be dropped while it waits.
    pub(super) async fn write(&mut self, command: &Command) -> Result<(), Error> {
        CommandCodec::new().encode(command, &mut self.write).map_err(Error::other)?;
        let bytes = self.write.split();
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }
}

/// Cuts the first frame off. A body that cannot be read does no harm to the ones behind it.
fn cut(bytes: &mut BytesMut) -> Result<Option<Frame>, Error> {
    let word =
        |bytes: &[u8], at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    let Some(length) = word(bytes, 0) else { return Ok(None) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length) {
        return Err(Error::new(ErrorKind::InvalidData, "a frame of an impossible length"));
    }
    if bytes.len() < length {
        return Ok(None);
    }
    let mut frame = bytes.split_to(length);
    let [id, status, sequence] = [4, 8, 12].map(|at| word(&frame, at).unwrap_or_default());
    let mut body = frame.split_off(4);
    Ok(Some(match Command::decode(&mut body, length - 4) {
        Ok((command, _)) => Frame::Whole(Box::new(command)),
        Err(_) => Frame::Unreadable(CommandId::from(id), CommandStatus::from(status), sequence),
    }))
}

/// The commands in these bytes, as they would come over a connection, to the first frame that would end it.
pub(super) fn commands(bytes: &[u8]) -> Vec<Command> {
    let mut bytes = BytesMut::from(bytes);
    let frames = std::iter::from_fn(|| cut(&mut bytes).ok().flatten());
    let whole = |frame| match frame {
        Frame::Whole(command) => Some(*command),
        Frame::Unreadable(..) => None,
    };
    frames.filter_map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8]) -> Vec<Frame> {
        let mut bytes = BytesMut::from(bytes);
        std::iter::from_fn(|| cut(&mut bytes).unwrap()).collect()
    }

    #[test]
    fn frames_are_cut_wherever_the_bytes_end_and_a_bad_one_spoils_no_other() {
        // enquire_link; a submit_sm_resp whose id has no end; a refusal without a body.
        let good = [0, 0, 0, 16, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 7];
        let bad = [0, 0, 0, 18, 0x80, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, b'a', b'b'];
        let refusal = [0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0x58, 0, 0, 0, 9];
        let all = [&good[..], &bad, &refusal].concat();
        let read = frames(&all);
        assert!(matches!(&read[0], Frame::Whole(command) if command.id() == CommandId::EnquireLink));
        assert!(
            matches!(&read[1], Frame::Unreadable(CommandId::SubmitSmResp, CommandStatus::EsmeRok, 8)),
            "{:?}",
            read[1]
        );
        assert!(matches!(&read[2], Frame::Whole(command) if u32::from(command.status()) == 0x58));
        for end in 0..all.len() {
            let whole = [16, 34, 50].iter().filter(|length| **length <= end).count();
            assert_eq!(frames(&all[..end]).len(), whole, "cut at {end}");
        }
    }

    #[test]
    fn an_impossible_length_ends_the_connection() {
        for length in [0_u32, 15, 200_000, u32::MAX] {
            assert!(cut(&mut BytesMut::from(&length.to_be_bytes()[..])).is_err(), "{length}");
        }
    }
}
