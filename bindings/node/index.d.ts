/// <reference types="node" />

import { EventEmitter } from 'node:events';
import { Duplex, DuplexOptions } from 'node:stream';

declare namespace ferrule {
  /** What can be sent. Text is sent as UTF-8. */
  type Data = string | NodeJS.ArrayBufferView | ArrayBufferLike;

  /** The name of a pipe: a path, an abstract name, which starts with a NUL (Linux), or a `file:` URL. */
  type PipeName = string | Uint8Array | URL;

  /**
   * An error of the library, with what errors of Node have. `code` is the platform's name where it has one
   * for the same thing, such as ECONNREFUSED or EPROTO, otherwise ERR_FERRULE_ and the library's name.
   */
  interface FerruleError extends Error {
    code: string;
    /** Negative, as Node has it; not there for errors that only the library knows. */
    errno?: number;
    syscall: string;
    /** The library's name, such as FER_ECONNREFUSED. */
    status: string;
    /** The address or name that was asked for. */
    address?: string;
  }

  /** How channels behave. Times are in milliseconds; Infinity means without limit. */
  interface ChannelOptions {
    /** How messages look on the transport: 'native' unless given. */
    wire?: 'native' | 'plain' | undefined;
    /** The largest message that this side takes, in bytes; 64 MiB unless given. */
    maxMessage?: number | undefined;
    /** Queued bytes above which send() gives false; 1 MiB unless given. */
    highWater?: number | undefined;
    /** Queued bytes above which send() throws EAGAIN; 64 MiB unless given. */
    hardCap?: number | undefined;
    /** Until the peer has said hello; 5 seconds unless given. */
    handshakeTimeout?: number | undefined;
    /** Until the peer has said goodbye to a close(); 5 seconds unless given. */
    closeTimeout?: number | undefined;
  }

  interface ConnectOptions extends ChannelOptions {
    /** Until somebody listens; 10 seconds unless given. */
    timeout?: number | undefined;
    /** Gives up. */
    signal?: AbortSignal | undefined;
  }

  interface ListenOptions extends ChannelOptions {
    /** Closes the server. */
    signal?: AbortSignal | undefined;
  }

  interface WaitOptions {
    /** In milliseconds. */
    timeout?: number | undefined;
    signal?: AbortSignal | undefined;
  }

  /** What is known about a channel. */
  interface ChannelInfo {
    wire: 'native' | 'plain';
    /** Of the native wire, agreed with the peer; 0 on the plain one. */
    version: number;
    /** The largest message that this side takes, in bytes. */
    maxMessage: number;
    /** The largest message that the peer takes, in bytes. */
    peerMaxMessage: number;
    /** Handles that this side takes with a message. */
    maxHandles: number;
    /** Handles that the peer takes with a message. */
    peerMaxHandles: number;
    /** Bytes that were sent and that the kernel does not have yet. */
    queued: number;
    /** The mark above which `writable` is false. */
    highWater: number;
  }

  interface ChannelEvents {
    message: [message: Buffer];
    end: [];
    error: [error: Error];
    drain: [];
    close: [];
  }

  /**
   * A channel: messages that arrive whole or not at all, both ways.
   *
   * Messages come as 'message' events, or to a `for await` loop, or from receive(); nothing is received
   * before one of them asks, and nothing is lost in between. 'end' is the peer's goodbye; a peer that died is
   * an 'error' with the code ECONNRESET. Both close this side, and 'close' comes last, once. When messages are
   * taken with `for await` or receive(), and nobody listens to 'error', the error is thrown there instead. 'drain'
   * comes when there is room again after send() gave false, and when there never will be because the channel ended.
   */
  class Channel extends EventEmitter {
    private constructor();

    /** Whether more may be sent before waiting for 'drain'. */
    readonly writable: boolean;
    /** Whether this side is closed, or about to be: nothing can be sent. */
    readonly closed: boolean;
    /** What is known about the channel. It throws once the channel is closed. */
    readonly info: ChannelInfo;

    /**
     * Send a message; several pieces become one message.
     *
     * It is accepted whole, or refused whole with an error thrown: EAGAIN over the hard cap, EMSGSIZE over the
     * peer's limit, EPIPE after the peer's goodbye, ECONNRESET. Bytes from 64 KiB up are not copied: they must
     * not change, nor their memory be transferred, until the kernel has them, which is what the callback tells.
     * @returns false when it is better to wait for 'drain' before sending more
     */
    send(data: Data | readonly Data[], callback?: (error: FerruleError | null) => void): boolean;

    /**
     * Take the next message. When it is aborted or out of time, no message was taken.
     * @returns null after the peer's goodbye, and after close() or abort() on this side
     */
    receive(options?: WaitOptions): Promise<Buffer | null>;

    /** The messages until the peer's goodbye. Leaving the loop leaves the channel open. */
    [Symbol.asyncIterator](): AsyncIterableIterator<Buffer>;

    /** Hold messages back until resume(). What the peer sends waits, and in the end makes it wait. */
    pause(): this;
    /** Start to receive, also without a listener of 'message', or go on after pause(). */
    resume(): this;
    isPaused(): boolean;

    /**
     * Flush what was sent, say goodbye, wait for the peer's. Messages that were not taken are dropped. It is
     * rejected when that did not work, with ETIMEDOUT for example, unless the same error was told before. Nobody
     * has to wait for it: then a failure is not reported.
     */
    close(): Promise<void>;
    /** Close at once: nothing is flushed, and no goodbye is said. */
    abort(): void;
    /** The same as close(), for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;

    /** Keep Node from exiting while the channel waits for something, as it does at first. */
    ref(): this;
    /** Let Node exit though the channel is open. */
    unref(): this;

    on<K extends keyof ChannelEvents>(event: K, listener: (...args: ChannelEvents[K]) => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
    once<K extends keyof ChannelEvents>(event: K, listener: (...args: ChannelEvents[K]) => void): this;
    once(event: string | symbol, listener: (...args: any[]) => void): this;
    addListener<K extends keyof ChannelEvents>(event: K, listener: (...args: ChannelEvents[K]) => void): this;
    addListener(event: string | symbol, listener: (...args: any[]) => void): this;
    off<K extends keyof ChannelEvents>(event: K, listener: (...args: ChannelEvents[K]) => void): this;
    off(event: string | symbol, listener: (...args: any[]) => void): this;
  }

  /** Called for each client. When it throws, or its promise is rejected, the channel is aborted. */
  type ChannelHandler = (channel: Channel) => unknown;

  /**
   * A server: gives out a channel for every client. A client that could not be accepted, or that failed its
   * handshake, is a 'clientError' event; the server goes on. 'close' comes at the end.
   */
  class Server extends EventEmitter {
    private constructor();

    /** Where clients find the server. */
    readonly address: string;
    /** Whether close() was called. */
    readonly closed: boolean;

    /** Stop listening. Channels that were given out live on. */
    close(): Promise<void>;
    /** The same as close(), for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;

    /** Keep Node from exiting while the server listens, as it does at first. */
    ref(): this;
    /** Let Node exit though the server listens. */
    unref(): this;

    on(event: 'clientError', listener: (error: FerruleError) => void): this;
    on(event: 'close', listener: () => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
  }

  interface PipeOptions extends Omit<DuplexOptions, 'objectMode' | 'readableObjectMode' | 'writableObjectMode'> {
    /** Whether this side stays open when the peer's data ends; false unless given. */
    allowHalfOpen?: boolean | undefined;
  }

  interface BindOptions {
    /** Permission bits of the socket file, from the first instant; 0o600 unless given. */
    mode?: number | undefined;
    /** Leave the socket file where it is when the pipe is closed; false unless given. */
    keepFile?: boolean | undefined;
  }

  /**
   * A pipe: a Unix domain socket (a named pipe on Windows).
   *
   * As a connection it is a stream like any other. As a listener it emits 'connection', and accept() takes the
   * connection. 'connect' comes when a connect() has succeeded, 'close' once at the end.
   */
  class Pipe extends Duplex {
    constructor(options?: PipeOptions);

    /** Bytes that wait in the library, beside the stream's own writableLength. */
    readonly writeQueueSize: number;

    /** Bind to a name: a stale socket is replaced, a live one is EADDRINUSE. */
    bind(name: PipeName, options?: BindOptions): this;
    /** Accept connections. Each one that waits is a 'connection' event. */
    listen(backlog?: number, onconnection?: () => void): this;
    listen(onconnection: () => void): this;
    /** Take the connection that waits into a pipe that is not open yet; EAGAIN when none waits. */
    accept(client?: Pipe): Pipe;
    /** Connect to a listening pipe. A failure destroys the pipe. */
    connect(name: PipeName, options?: WaitOptions): Promise<this>;
    /** Make it a pipe of a connected or listening socket of the Unix domain, which it owns from then on. */
    open(fd: number): this;
    /** The descriptor. It stays the pipe's. */
    fileno(): number;
    /** Write as much as the kernel takes now; 0 when earlier writes are not done or nothing fits. */
    tryWrite(data: Data): number;
    /** The name that the pipe is bound to; empty when it has none. */
    getsockname(options: { encoding: 'buffer' }): Buffer;
    getsockname(options?: { encoding?: BufferEncoding | undefined }): string;
    /** The name that the peer is bound to; empty when it has none. */
    getpeername(options: { encoding: 'buffer' }): Buffer;
    getpeername(options?: { encoding?: BufferEncoding | undefined }): string;
    /** Keep Node from exiting while the pipe waits for something, as it does at first. */
    ref(): this;
    /** Let Node exit though the pipe is open. */
    unref(): this;
  }

  /** Connect to a server. Tries again until somebody listens or the time is up. */
  function connect(address: string, options?: ConnectOptions): Promise<Channel>;

  /** Listen at an address. */
  function listen(address: string, onchannel: ChannelHandler): Promise<Server>;
  function listen(address: string, options: ListenOptions | undefined, onchannel: ChannelHandler): Promise<Server>;

  /** The version of the library. */
  const version: string;
}

export = ferrule;
