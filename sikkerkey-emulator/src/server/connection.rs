//! One connection, from its first request to its end.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::open::Idle;
use super::wire::{self, Line, Wire};
use super::{Shared, Stop};
use crate::fault::{Delivery, Fault, Step, early, play, whole};
use crate::http::{ReadError, Reader, Request, Response};
use crate::recorded::Said;

/// Serves requests until either side closes the connection.
pub(super) fn serve(shared: &Shared, line: Arc<Line>, from: IpAddr, number: u64, idle: &Idle) {
    let Some(mut wire) = Wire::new(line, shared.tls.as_ref()) else {
        return;
    };
    let setup = *shared.service.connection_latency();
    if !setup.is_zero() && shared.stop.wait(setup) {
        return;
    }
    let mut reader = Reader::default();
    let mut reused = false;
    loop {
        let next = receive(shared, &mut wire, &mut reader, number, reused);
        shared.connections.work(idle);
        match next {
            Ok(Arrived::Page(request, refusal)) => {
                match refuse(shared, &mut wire, &request, &refusal, number) {
                    Ok(true) => shared.connections.rest(idle),
                    Ok(false) | Err(_) => return,
                }
            }
            Ok(Arrived::Request(request)) => {
                match exchange(shared, &mut wire, &request, from, number, reused) {
                    Ok(true) => shared.connections.rest(idle),
                    Ok(false) | Err(_) => return,
                }
                reused = true;
            }
            Ok(Arrived::Answered) => return,
            Ok(Arrived::End) => return wire.finish(),
            Err(ReadError::Io) => return,
            Err(ReadError::Refused(status, why)) => {
                let response = Response::error(status, why);
                let delivery = whole(&response, &shared.service.server_headers(), false);
                let _ = perform(&mut wire, &shared.stop, delivery);
                return wire.drain();
            }
        }
    }
}

/// The next event on a connection.
enum Arrived {
    Request(Request),
    /// A request that a web page may have made, and its refusal.
    Page(Request, Response),
    /// The head of a request that has its response already; the connection closes.
    Answered,
    End,
}

/// Waits for the next request.
fn receive(
    shared: &Shared,
    wire: &mut Wire,
    reader: &mut Reader,
    number: u64,
    reused: bool,
) -> Result<Arrived, ReadError> {
    let Some(mut request) = reader.head(wire)? else {
        return Ok(Arrived::End);
    };
    let service = &shared.service;
    if let Some(refusal) = service.refuse_page(&request) {
        reader.body(wire, &mut request)?;
        return Ok(Arrived::Page(request, refusal));
    }
    let reply = service.plan().take_early(request.path(), reused);
    if let Some(reply) = reply {
        let entry = service.log.arrived(&request, number);
        let delivery = early(reply, &service.server_headers());
        service
            .log
            .answered(entry, delivery.status, false, Said::default());
        perform(wire, &shared.stop, delivery)?;
        return Ok(Arrived::Answered);
    }
    reader.body(wire, &mut request)?;
    Ok(Arrived::Request(request))
}

/// Refuses a request before the service acts on it or a fault meets it.
fn refuse(
    shared: &Shared,
    wire: &mut Wire,
    request: &Request,
    refusal: &Response,
    number: u64,
) -> io::Result<bool> {
    let service = &shared.service;
    let entry = service.log.arrived(request, number);
    let said = Said::of(request.path(), refusal);
    service.log.answered(entry, refusal.status, false, said);
    let delivery = whole(refusal, &service.server_headers(), request.keep_alive);
    perform(wire, &shared.stop, delivery)
}

/// Responds to one request, with its fault; true if the connection can serve another.
fn exchange(
    shared: &Shared,
    wire: &mut Wire,
    request: &Request,
    from: IpAddr,
    number: u64,
    reused: bool,
) -> io::Result<bool> {
    let service = &shared.service;
    // Before the request is recorded: a test that has seen it may send the next one, whose fault is another.
    let fault = service.plan().take(request.path(), reused);
    let entry = service.log.arrived(request, number);
    let acts = match &fault {
        Fault::Pass
        | Fault::After(_)
        | Fault::Drip(_)
        | Fault::DripAll(_)
        | Fault::Desync(_)
        | Fault::Informational { .. }
        | Fault::ChunkExtensions(_)
        | Fault::FoldedHeader => true,
        Fault::Delay(time) => {
            if shared.stop.wait(*time) {
                return Ok(false);
            }
            true
        }
        Fault::Hold(hold) => {
            if !hold.wait(|| shared.stop.is_set()) {
                return Ok(false);
            }
            true
        }
        _ => false,
    };
    let response = acts.then(|| service.handle(request, from));
    let said = response
        .as_ref()
        .map(|response| Said::of(request.path(), response));
    // The wait is over, and the service's own response remains.
    let fault = if matches!(fault, Fault::Delay(_) | Fault::Hold(_)) {
        Fault::Pass
    } else {
        fault
    };
    let mut delivery = play(
        &fault,
        response,
        &service.server_headers(),
        request.keep_alive,
    );
    let latency = *service.latency();
    if !latency.is_zero() {
        delivery.steps.insert(0, Step::Wait(latency));
    }
    // Before the bytes are sent, so that a test whose client has the response finds the record.
    service
        .log
        .answered(entry, delivery.status, acts, said.unwrap_or_default());
    perform(wire, &shared.stop, delivery)
}

/// Sends a delivery; true if the connection can go on.
fn perform(wire: &mut Wire, stop: &Stop, delivery: Delivery) -> io::Result<bool> {
    for step in delivery.steps {
        match step {
            Step::Send(bytes) => send(wire, &bytes)?,
            Step::Wait(time) => {
                if stop.wait(time) {
                    return Ok(false);
                }
            }
            Step::Hold(hold) => {
                if !hold.wait(|| stop.is_set()) {
                    return Ok(false);
                }
            }
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    send(wire, &[byte])?;
                    if stop.wait(pause) {
                        return Ok(false);
                    }
                }
            }
            Step::Repeat(bytes, times, pause) => {
                let mut left = times;
                while left != Some(0) {
                    send(wire, &bytes)?;
                    left = left.map(|n| n - 1);
                    if pause > Duration::ZERO && stop.wait(pause) {
                        return Ok(false);
                    }
                }
            }
            Step::Hang => wire.hang(),
            Step::Reset => {
                wire::reset(wire.socket());
                return Ok(false);
            }
        }
    }
    if !delivery.keep {
        if delivery.status == 0 {
            return Ok(false);
        }
        wire.finish();
    }
    Ok(delivery.keep)
}

fn send(wire: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    wire.write_all(bytes)?;
    wire.flush()
}
