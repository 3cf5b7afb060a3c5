//! Three functions for whoever holds the module: `input(length)` gives the address to write the request to, `verify()`
//! answers with the length of the verdict, `output()` with its address. One thread, as WebAssembly has.
#![allow(unsafe_code, reason = "a symbol that the host can name; nothing here follows an address")]

use std::cell::RefCell;

/// Largest request taken: evidence of one proof has less than a megabyte, in base64 a third more.
const LONGEST: usize = 16 * 1024 * 1024;

#[derive(Default)]
struct Buffers {
    input: Vec<u8>,
    output: String,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Makes room for a request of `length` bytes; its address, or 0 if it is too long.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    if length > LONGEST {
        return std::ptr::null_mut();
    }
    BUFFERS.with_borrow_mut(|buffers| {
        buffers.input = vec![0; length];
        buffers.input.as_mut_ptr()
    })
}

/// Answers the request; the length of the answer.
#[unsafe(no_mangle)]
pub extern "C" fn verify() -> usize {
    BUFFERS.with_borrow_mut(|buffers| {
        buffers.output = crate::answer(&buffers.input);
        buffers.input = Vec::new();
        buffers.output.len()
    })
}

/// The address of the answer, until the next call of `verify`.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    BUFFERS.with_borrow(|buffers| buffers.output.as_ptr())
}
