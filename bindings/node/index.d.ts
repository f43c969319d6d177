/// <reference types="node" />

import { ChildProcess, StdioOptions } from 'node:child_process';
import * as dgram from 'node:dgram';
import { EventEmitter } from 'node:events';
import { FileHandle } from 'node:fs/promises';
import * as net from 'node:net';
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
    /** Of a child that ended before it said hello: its code. */
    exitCode?: number | null;
    /** Of a child that ended before it said hello: its signal. */
    signalCode?: NodeJS.Signals | null;
    /** Of an error that ended a channel: how many bytes of what was sent the kernel never got. */
    unsent?: number;
    /** Of an error of sendMany(): how many messages were sent. */
    accepted?: number;
  }

  /** How channels behave. Times are in milliseconds; Infinity means without limit. */
  interface ChannelOptions {
    /** How messages look on the transport: 'native' unless given. */
    wire?: 'native' | 'plain' | undefined;
    /** The largest message that this side takes or sends, in bytes; 64 MiB unless given. */
    maxMessage?: number | undefined;
    /** Queued bytes from which on `writable` is false; 1 MiB unless given. */
    highWater?: number | undefined;
    /** Queued bytes above which a message is refused with EAGAIN; 64 MiB unless given. */
    hardCap?: number | undefined;
    /** Until the peer has said hello; 5 seconds unless given. */
    handshakeTimeout?: number | undefined;
    /** Until the peer has said goodbye to a close(); 5 seconds unless given. */
    closeTimeout?: number | undefined;
    /** The longest silence in the middle of a message, which ends the channel with ECONNABORTED; no limit unless given. */
    frameTimeout?: number | undefined;
    /**
     * How long to look for an answer before going to sleep, where answers come that soon: milliseconds, up to 1; 0 is never;
     * 0.05 unless given.
     */
    busyPoll?: number | undefined;
    /**
     * Handles that are taken with a message, up to 64; none unless given. Only the native wire carries them, and only
     * over Unix domain sockets: `pipe:` and `fd:`. ENOTSUP elsewhere.
     */
    maxHandles?: number | undefined;
    /** Whether `tcp:` addresses may be others than those of the loopback; false unless given. */
    anyHost?: boolean | undefined;
    /** Whether a client on TCP may find a server of another user than this one or root; false unless given. */
    anyUser?: boolean | undefined;
    /** Whether all bytes go through the transport, none in shared memory; false unless given. */
    inline?: boolean | undefined;
    /**
     * What both sides know and nobody else; text is UTF-8. EACCES when the other side does not know it, or has none. On
     * the native wire, between a server and its clients.
     */
    secret?: string | Uint8Array | undefined;
    /**
     * As of an EventEmitter: when the promise of an async listener is rejected, it is an 'error', and the channel is
     * aborted; of a server, for itself and its channels.
     */
    captureRejections?: boolean | undefined;
  }

  interface ConnectOptions extends ChannelOptions {
    /** Until somebody listens; 10 seconds unless given. */
    timeout?: number | undefined;
    /** Gives up. */
    signal?: AbortSignal | undefined;
  }

  /** Who is at the other end, as the system noted it when the connection was made; undefined where it does not tell. */
  interface PeerCredentials {
    /** The process, which may have ended. */
    pid: number | undefined;
    /** The effective user. */
    uid: number | undefined;
    /** The effective group. */
    gid: number | undefined;
  }

  interface ListenOptions extends ChannelOptions {
    /** Open channels; a client more is closed at once, with EBUSY as 'clientError'. 0, which it is unless given: no limit. */
    maxChannels?: number | undefined;
    /** The same, as a net.Server calls it, where `maxChannels` is not given. */
    maxConnections?: number | undefined;
    /**
     * Clients that have not said hello; for one more, the oldest is closed, with ECONNABORTED as 'clientError'. 128
     * unless given, or 0.
     */
    maxHalfOpen?: number | undefined;
    /**
     * Whom to serve: 'any', or what decides, before a byte of the client is read. Unless given, on Unix domain sockets
     * and on TCP of the loopback, this user and root. Others are closed, with EACCES as 'clientError'. When the function
     * throws, or returns anything but a boolean, the client is closed, and the exception is an 'uncaughtException'.
     */
    allow?: 'any' | ((who: PeerCredentials) => boolean) | undefined;
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

  /** What has gone over a channel. Bytes are those of the payloads. */
  interface ChannelStats {
    messagesIn: number;
    messagesOut: number;
    bytesIn: number;
    bytesOut: number;
    handlesIn: number;
    handlesOut: number;
    /** Bytes that were sent and that the kernel does not have yet. */
    queued: number;
    /** How often the queue went above the high-water mark. */
    highWaterHits: number;
  }

  /** A message. On a channel with `maxHandles` it has the handles that came with it, in the sender's order. */
  interface Message extends Buffer {
    readonly handles?: readonly ReceivedHandle[];
  }

  interface SendOptions {
    /** Up to 64 handles that go with the message: delivered together with it, or not at all. */
    handles?: readonly Passable[] | undefined;
    /** Of Node's own objects among them: leave them open; they are closed once the kernel has them unless this is true. */
    keepOpen?: boolean | undefined;
  }

  interface ChannelEvents {
    message: [message: Message, handles: readonly ReceivedHandle[]];
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
   * comes when there is room again after there was none, and when there never will be because the channel ended.
   */
  class Channel extends EventEmitter {
    private constructor();

    /** Whether more may be sent before waiting for 'drain'. */
    readonly writable: boolean;
    /** Whether this side is closed, or about to be: nothing can be sent. */
    readonly closed: boolean;
    /** What is known about the channel. It throws once the channel is closed. */
    readonly info: ChannelInfo;
    /** Who is at the other end. It throws ENOTSUP where the system does not tell, and once the channel is closed. */
    readonly peerCredentials: PeerCredentials;
    /** Count what has gone over the channel, which may be closed by now. Payloads are never looked at. */
    stats(): ChannelStats;

    /**
     * Send a message; several pieces become one message.
     *
     * It is accepted whole, or refused whole, and the promise rejected: EAGAIN over the hard cap, EMSGSIZE over the
     * peer's limit, EPIPE after the peer's goodbye, ECONNRESET. Bytes from 64 KiB up are not copied: they must
     * not change, nor their memory be transferred, until the kernel has them.
     *
     * Handles that go with it stay usable here, and may be closed at once; one of Node's own objects is closed once
     * the kernel has it, unless `keepOpen` is true. ENOTSUP when the peer, the transport or the wire does not take them.
     *
     * To wait for the promise is the simplest way not to send faster than the peer receives; `writable` with 'drain', and
     * trySend(), are others. Nobody has to: what was accepted and then lost is told by how the channel ends, where
     * somebody receives. A message that was refused, and whose promise nobody looks at, is an unhandled rejection.
     * @returns the kernel has the whole message
     */
    send(data: Data | readonly Data[], options?: SendOptions): Promise<void>;
    /**
     * Wait until everything that was sent so far has left, also what cork() holds back.
     * @returns the kernel has it
     */
    flush(): Promise<void>;
    /** Send a message now or not at all: false, with nothing sent, when it has to wait for 'drain'. */
    trySend(data: Data | readonly Data[], options?: SendOptions): boolean;
    /**
     * Send messages one after another, waiting for room in between. When it is rejected, `accepted` of the error says how
     * many were sent.
     * @returns the kernel has all of them
     */
    sendMany(messages: Iterable<Data | readonly Data[]>, options?: { signal?: AbortSignal | undefined }): Promise<void>;
    /** Hold back what is sent from now on, so that it leaves together. What gathers to 64 KiB leaves all the same. */
    cork(): this;
    /** Let go of what cork() held back, and hold back no more. */
    uncork(): this;
    /** How many bytes of what was sent, headers included, the kernel never got. Final once the channel is closed. */
    readonly unsent: number;

    /**
     * Take the next message. When it is aborted or out of time, no message was taken.
     * @returns null after the peer's goodbye, and after close() or abort() on this side
     */
    receive(options?: WaitOptions): Promise<Message | null>;
    /** The same as receive(). */
    recv(options?: WaitOptions): Promise<Message | null>;
    /** The same, as an object on any channel. */
    recvMessage(options?: WaitOptions): Promise<{ data: Message; handles: readonly ReceivedHandle[] } | null>;

    /** The messages until the peer's goodbye. Leaving the loop leaves the channel open. */
    [Symbol.asyncIterator](): AsyncIterableIterator<Message>;

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
   * A server: gives out a channel for every client. A client that could not be accepted, that was not allowed, or that
   * failed its handshake, is a 'clientError' event; the server goes on. 'close' comes at the end.
   */
  class Server extends EventEmitter {
    private constructor();

    /** Where clients find the server. */
    readonly address: string;
    /** Whether close() was called. */
    readonly closed: boolean;

    /** How many channels that the server gave out are open. */
    readonly count: number;

    /** Stop listening. Channels that were given out live on, unless `drain` is true: then they are closed, as by drain(). */
    close(options?: { drain?: boolean | undefined }): Promise<void>;
    /**
     * The channels as they come, from a server that was made without a handler, until it is closed. Leaving the loop
     * leaves the server open.
     */
    [Symbol.asyncIterator](): AsyncIterableIterator<Channel>;
    /** Stop listening, and close every channel that the server gave out, each as its close() does. */
    drain(): Promise<void>;
    /** Stop listening, and abort every channel that the server gave out, as its abort() does. close() waits for the end. */
    abort(): void;
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

  /**
   * A handle that came with a message. It owns the descriptor, until that is taken out, made something of, or closed.
   * One that nobody refers to any more is closed when the collector finds it.
   */
  class ReceivedHandle {
    private constructor();

    /** 'other' is a descriptor that is no pipe, TCP or UDP socket. */
    readonly kind: HandleType;
    /** The descriptor, which stays this object's; -1 once it is closed or taken. */
    readonly fd: number;
    /** Whether it was closed, or taken. */
    readonly closed: boolean;

    /** Take the descriptor out; it is the caller's. */
    detach(): number;
    /** Make a handle of it: a Pipe, a TCP or a UDP, as `kind` says. ERR_FERRULE_KIND, with nothing taken, for 'other'. */
    open<T extends Pipe | TCP | UDP = Pipe>(options?: PipeOptions): T;
    /** Make a net.Socket of a connected pipe or TCP socket. */
    toSocket(options?: Omit<net.SocketConstructorOpts, 'fd'>): net.Socket;
    /** Make a net.Server of a listening pipe or TCP socket; it emits 'listening'. */
    toServer(options?: net.ServerOpts, onconnection?: (socket: net.Socket) => void): net.Server;
    toServer(onconnection: (socket: net.Socket) => void): net.Server;
    /** Make a dgram.Socket of a UDP socket, bound already. */
    toDgram(options?: Omit<dgram.SocketOptions, 'type'>): dgram.Socket;
    /** Close it. Closing again, or after it was taken, does nothing. */
    close(): void;
    /** The same as close(), for `using`. */
    [Symbol.dispose](): void;
  }

  /**
   * What can be passed. A number is a descriptor. One that is written to a pipe must stay open until it is passed, and so
   * must a file of `fs.promises.open()`.
   */
  type Passable = Pipe | TCP | UDP | ReceivedHandle | net.Socket | net.Server | dgram.Socket | FileHandle | number;

  /**
   * A handle of whatever can be passed, as if it had been passed to here: a Pipe, a TCP or a UDP. Node's own sockets and servers
   * are closed then, unless `keepOpen` is true, and what they are connected to stays so; everything else stays as it is.
   * EBUSY when data waits in a net.Socket, ERR_FERRULE_KIND for what is no pipe, TCP or UDP socket.
   */
  function fromHandle(object: dgram.Socket | UDP, options?: PassOptions): UDP;
  function fromHandle(object: net.Socket | net.Server, options?: PipeOptions & PassOptions): Pipe | TCP;
  function fromHandle(object: Passable, options?: PipeOptions & PassOptions): Pipe | TCP | UDP;

  /**
   * One of Node's own objects of a handle, which closes: a net.Socket of a connection, a net.Server of a listener, a dgram.Socket
   * of a UDP. The options are for their constructors.
   */
  function toHandle(handle: UDP, options?: Omit<dgram.SocketOptions, 'type'>): dgram.Socket;
  function toHandle(handle: Pipe | TCP, options?: Omit<net.SocketConstructorOpts, 'fd'> | net.ServerOpts): net.Socket | net.Server;
  function toHandle(handle: Pipe | TCP | UDP | ReceivedHandle, options?: object): net.Socket | net.Server | dgram.Socket;

  /** The kind of a received handle; 'other' is a descriptor that is no pipe, TCP or UDP socket. */
  type HandleType = 'pipe' | 'tcp' | 'udp' | 'other';

  /** The address of a TCP or UDP socket. */
  interface InetAddress {
    address: string;
    port: number;
    family: 'IPv4' | 'IPv6';
  }

  interface StreamOptions extends Omit<DuplexOptions, 'objectMode' | 'readableObjectMode' | 'writableObjectMode'> {
    /** Whether this side stays open when the peer's data ends; false unless given. */
    allowHalfOpen?: boolean | undefined;
  }

  interface PipeOptions extends StreamOptions {
    /** Whether handles are passed over the pipe; false unless given. A listener has it false. */
    ipc?: boolean | undefined;
  }

  interface BindOptions {
    /** Permission bits of the socket file, from the first instant; 0o600 unless given. */
    mode?: number | undefined;
    /** Leave the socket file where it is when the pipe is closed; false unless given. */
    keepFile?: boolean | undefined;
  }

  interface InetOptions {
    /** With it the socket is made at once, not when an address tells the family. */
    family?: 'IPv4' | 'IPv6' | undefined;
  }

  interface InetBindOptions {
    /** An IPv6 socket takes no IPv4 traffic. */
    ipv6Only?: boolean | undefined;
    /** Several sockets may share the port. */
    reusePort?: boolean | undefined;
  }

  interface PassOptions {
    /** Of one of Node's own objects: leave it open; it is closed once the kernel has it unless this is true. */
    keepOpen?: boolean | undefined;
  }

  /** Who is at the other end of a pipe, as the kernel noted it when the connection was made. */
  interface Credentials {
    /** The process, which may have ended; null where the system does not tell. */
    pid: number | null;
    /** The effective user. */
    uid: number;
    /** The effective group. */
    gid: number;
  }

  /** What pipes and TCP sockets have in common. */
  interface Stream {
    /** Bytes that were read from the system. */
    readonly bytesRead: number;
    /** Bytes that were given to be written, those that wait included. */
    readonly bytesWritten: number;
    /** Whether a connect is under way. */
    readonly connecting: boolean;
    /** Whether the stream is not connected: not yet, not any more, or a listener. */
    readonly pending: boolean;
    readonly readyState: 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed';
    /** What setTimeout() was given; undefined before. */
    readonly timeout: number | undefined;
    /** Bytes that wait in the library, beside the stream's own writableLength. */
    readonly writeQueueSize: number;
    /** The size of the kernel's buffer for what is sent, in bytes. Linux tells twice what was set. */
    sendBufferSize: number;
    /** The size of the kernel's buffer for what is received, in bytes. Linux tells twice what was set. */
    receiveBufferSize: number;

    /** Accept connections. Each one that waits is a 'connection' event. */
    listen(backlog?: number, onconnection?: () => void): this;
    listen(onconnection: () => void): this;
    /** Make it the stream of a connected or listening socket, which it owns from then on. */
    open(fd: number): this;
    /** The descriptor. It stays the handle's. */
    fileno(): number;
    /**
     * Take the descriptor out; it is the caller's. This object closes, the socket goes on, and so does the file
     * of its name. EBUSY while data waits to be read or written.
     */
    detach(): number;
    /** Make a net.Socket of a connection. This object closes. */
    toSocket(options?: Omit<net.SocketConstructorOpts, 'fd'>): net.Socket;
    /** Make a net.Server of a listener, bound or listening. This object closes; the server emits 'listening'. */
    toServer(options?: net.ServerOpts, onconnection?: (socket: net.Socket) => void): net.Server;
    toServer(onconnection: (socket: net.Socket) => void): net.Server;
    /** Set the blocking mode of the descriptor, for others that have it too: the stream itself never blocks. */
    setBlocking(on?: boolean): this;
    /** Write as much as the kernel takes now; 0 when earlier writes are not done or nothing fits. */
    tryWrite(data: Data): number;
    /**
     * Emit 'timeout' when nothing has come or gone for so many milliseconds, and each time again; 0: never. Nothing else
     * happens. The callback is a listener for the next 'timeout'.
     */
    setTimeout(timeout: number, callback?: () => void): this;
    /** Write what was given, then destroy the stream. */
    destroySoon(): void;
    /** Keep Node from exiting while the handle waits for something, as it does at first. */
    ref(): this;
    /** Let Node exit though the handle is open. */
    unref(): this;
    /** Whether the handle keeps Node from exiting while it waits for something. */
    hasRef(): boolean;
  }

  /**
   * A pipe: a Unix domain socket (a named pipe on Windows), over which handles can be passed.
   *
   * As a connection it is a stream like any other. As a listener it emits 'connection', and accept() takes the
   * connection. 'connect' comes when a connect() has succeeded, 'close' once at the end. With `ipc`, 'handle' comes
   * for each received handle, before the 'data' that it came with; a handle that nobody accepts is closed with the
   * pipe.
   */
  class Pipe extends Duplex {
    constructor(options?: PipeOptions);
    /** Make two pipes that are connected to each other. */
    static pair(options?: PipeOptions): [Pipe, Pipe];

    /** Whether handles may be passed over the pipe. */
    readonly ipc: boolean;
    /** How many received handles wait to be accepted. */
    readonly pendingCount: number;
    /** The kind of the next received handle; null when none waits. */
    readonly pendingHandleType: HandleType | null;

    /** Bind to a name: a stale socket is replaced, a live one is EADDRINUSE. */
    bind(name: PipeName, options?: BindOptions): this;
    /** Connect to a listening pipe, waiting for room in its queue. A failure destroys the pipe. */
    connect(name: PipeName, options?: WaitOptions): Promise<this>;
    /**
     * Take the connection that waits, or the next received handle, into a handle that is not open yet; a new one
     * unless given. EAGAIN when nothing waits; ERR_FERRULE_KIND, with nothing taken, for another kind.
     */
    accept<T extends Pipe | TCP | UDP = Pipe>(client?: T): T;
    /** Take the next received handle, of whatever kind, as a descriptor, which is the caller's. */
    acceptFd(): number;
    /**
     * Write at least one byte, and pass a handle with the first. The callback comes when the kernel has it; without
     * one, a failure destroys the pipe.
     * @returns as write()
     */
    writeHandle(chunk: Data, handle: Passable, options?: PassOptions, callback?: (error: Error | null) => void): boolean;
    writeHandle(chunk: Data, handle: Passable, callback: (error: Error | null) => void): boolean;
    /** The name that the pipe is bound to, or its listener was; empty when it has none. */
    getsockname(options: { encoding: 'buffer' }): Buffer;
    getsockname(options?: { encoding?: BufferEncoding | undefined }): string;
    /** The name that the peer is bound to; empty when it has none. */
    getpeername(options: { encoding: 'buffer' }): Buffer;
    getpeername(options?: { encoding?: BufferEncoding | undefined }): string;
    /** Change the permission bits of the socket file of a bound pipe. */
    chmod(mode: number): this;
    /** How many instances of a named pipe wait for connections. Has an effect on Windows only. */
    pendingInstances(count: number): this;
    /** Who is at the other end. */
    peerCredentials(): Credentials;
    /** Does nothing, as with a pipe of Node's own. */
    setNoDelay(on?: boolean): this;
    /** Does nothing, as with a pipe of Node's own. */
    setKeepAlive(on?: boolean, delay?: number): this;
  }

  interface Pipe extends Stream {}

  /**
   * A TCP socket: a stream, or a listener, that can be passed to another process. Hosts are literal addresses.
   * Its events are those of Pipe, without 'handle'.
   */
  class TCP extends Duplex {
    constructor(options?: StreamOptions & InetOptions);

    /** Bind to an address; the port 0 picks one. */
    bind(host: string, port: number, options?: InetBindOptions): this;
    /** Connect to a listener, at 127.0.0.1 unless told otherwise. A failure destroys the socket. */
    connect(port: number, host?: string, options?: WaitOptions): Promise<this>;
    /** Take the connection that waits into a TCP that is not open yet; EAGAIN when none waits. */
    accept(client?: TCP): TCP;
    /** Choose whether small pieces are sent at once. */
    setNoDelay(on?: boolean): this;
    /** Choose whether an idle connection is probed, the first time after so many seconds. */
    setKeepAlive(on?: boolean, delay?: number): this;
    /** Choose whether a listener has several accepts under way at a time. Has an effect on Windows only. */
    simultaneousAccepts(on?: boolean): this;
    /** The address that it is bound to. */
    getsockname(): InetAddress;
    /** The address that it is connected to. */
    getpeername(): InetAddress;
  }

  interface TCP extends Stream {}

  /** About a datagram: who sent it, and its size. */
  interface DatagramInfo extends InetAddress {
    /** In bytes. */
    size: number;
    /** The datagram was longer than what is given. */
    truncated: boolean;
  }

  /**
   * A UDP socket, which can be passed to another process. Hosts are literal addresses. Datagrams are 'message'
   * events after startReceiving(). 'error' is what failed with nobody to call back; the socket goes on. 'close'
   * comes once, at the end.
   */
  class UDP extends EventEmitter {
    /** Whether close() was called. */
    readonly destroyed: boolean;
    /** The size of the kernel's buffer for what is sent, in bytes. Linux tells twice what was set. */
    sendBufferSize: number;
    /** The size of the kernel's buffer for what is received, in bytes. Linux tells twice what was set. */
    receiveBufferSize: number;
    /** How many bytes are in datagrams that wait for the kernel. */
    readonly sendQueueSize: number;
    /** How many datagrams wait for the kernel. */
    readonly sendQueueCount: number;

    constructor(options?: InetOptions);

    /** Bind to an address; the port 0 picks one. */
    bind(host: string, port: number, options?: InetBindOptions): this;
    /** Make it the socket of a descriptor, which it owns from then on. */
    open(fd: number): this;
    /** Fix the address that is sent to and received from, at 127.0.0.1 unless told otherwise. */
    connect(port: number, host?: string): this;
    /** Undo connect(). A socket that was bound to port 0 loses its port with it. */
    disconnect(): this;
    /** Send a datagram; several pieces become one. Without a callback, a failure is an 'error' event. */
    send(data: Data | readonly Data[], port: number, host?: string, callback?: (error: FerruleError | null) => void): this;
    send(data: Data | readonly Data[], port: number, callback: (error: FerruleError | null) => void): this;
    /** The same from a connected socket. */
    send(data: Data | readonly Data[], callback?: (error: FerruleError | null) => void): this;
    /** Send a datagram now or not at all: false when it would have to wait. */
    trySend(data: Data | readonly Data[], port?: number, host?: string): boolean;
    /** Receive: each datagram is a 'message' event. A socket that is not bound gets a port. */
    startReceiving(): this;
    /** Stop receiving. What is not received yet stays in the kernel. */
    stopReceiving(): this;
    /** Join a multicast group, on the interface that has an address; with IPv6 its zone tells which: '::%eth0'. */
    addMembership(group: string, local?: string): this;
    /** Leave a multicast group. */
    dropMembership(group: string, local?: string): this;
    /** Choose the interface that datagrams to multicast groups leave by; the system chooses unless given. */
    setMulticastInterface(local?: string): this;
    /** Choose whether this machine gets what the socket sends to multicast groups, too; it does at first. */
    setMulticastLoopback(on?: boolean): this;
    /** Choose how many routers a datagram to a multicast group may pass: from 0 to 255, 1 at first. */
    setMulticastTTL(ttl: number): this;
    /** Choose how many routers a datagram to a single address may pass: from 1 to 255. */
    setTTL(ttl: number): this;
    /** Choose whether datagrams may be sent to broadcast addresses. */
    setBroadcast(on?: boolean): this;
    /** The address that it is bound to. */
    getsockname(): InetAddress;
    /** The address that it is connected to. */
    getpeername(): InetAddress;
    /** The descriptor. It stays the handle's. */
    fileno(): number;
    /** Take the descriptor out; it is the caller's. This object closes. EBUSY while something waits to be sent. */
    detach(): number;
    /** Make a dgram.Socket, bound already. This object closes. */
    toDgram(options?: Omit<dgram.SocketOptions, 'type'>): dgram.Socket;
    /** Close. Sends that are under way are told ECANCELED. */
    close(callback?: () => void): this;
    /** Keep Node from exiting while the socket waits for something, as it does at first. */
    ref(): this;
    /** Let Node exit though the socket is open. */
    unref(): this;
    /** Whether the socket keeps Node from exiting while it waits for something. */
    hasRef(): boolean;

    on(event: 'message', listener: (data: Buffer, info: DatagramInfo) => void): this;
    on(event: 'error', listener: (error: FerruleError) => void): this;
    on(event: 'close', listener: () => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
  }

  /** Connect to a server. Tries again until somebody listens or the time is up. */
  function connect(address: string, options?: ConnectOptions): Promise<Channel>;

  /** Listen at an address. */
  function listen(address: string, onchannel: ChannelHandler): Promise<Server>;
  /** Without a handler, the channels come from iterating over the server. */
  function listen(address: string, options?: ListenOptions): Promise<Server>;
  function listen(address: string, options: ListenOptions | undefined, onchannel: ChannelHandler): Promise<Server>;

  /** Make two channels that are connected with each other. */
  function pair(options?: ChannelOptions): Promise<[Channel, Channel]>;

  interface SpawnOptions extends ChannelOptions {
    /** As Node's spawn() has it; 'inherit' unless given. The channel is behind these. */
    stdio?: StdioOptions | undefined;
    /** The environment; this process's own unless given. */
    env?: NodeJS.ProcessEnv | undefined;
    /** Where the child starts. */
    cwd?: string | URL | undefined;
    /** Until the child has said hello: in the place of `handshakeTimeout`. */
    timeout?: number | undefined;
    /** Kills the child. */
    signal?: AbortSignal | undefined;
    /** As Node's spawn() has them. */
    argv0?: string | undefined;
    detached?: boolean | undefined;
    gid?: number | undefined;
    shell?: boolean | string | undefined;
    uid?: number | undefined;
  }

  /** How a process ended: with a code, or by a signal. */
  interface ChildExit {
    code: number | null;
    signal: NodeJS.Signals | null;
  }

  /**
   * A process that was started with a channel to it. 'exit' comes when it has ended, with its code and its signal;
   * 'error' when it could not be killed.
   */
  class Child extends EventEmitter {
    private constructor();

    /** The channel to it. It ends when the process dies. */
    readonly channel: Channel;
    /** Node's own object, with the standard streams that were asked for. */
    readonly process: ChildProcess;
    /** The number of the process. */
    readonly pid: number;
    /** The end of the process. Never rejected. */
    readonly exited: Promise<ChildExit>;

    /** Send it a signal, SIGTERM unless given. */
    kill(signal?: NodeJS.Signals | number): boolean;
    /**
     * Close the channel and the child's standard input, and wait for the end of the process; kill one that is still there after `closeTimeout`. It is
     * rejected, after that, as the channel's close() is, but not because the process died: that is told here.
     */
    close(): Promise<ChildExit>;
    /** The same as close(), for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
    /** Keep Node from exiting while the process or the channel is there, as they do at first. */
    ref(): this;
    /** Let Node exit though they are there. */
    unref(): this;

    on(event: 'exit', listener: (code: number | null, signal: NodeJS.Signals | null) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
  }

  /**
   * Start a program, in any language, with a channel to it, which it takes with parent(): its environment names it in
   * FERRULE_CHANNEL. When it is rejected, the child is gone: ETIMEDOUT for a program that said no hello in time,
   * ECONNRESET for one that ended before, with its `exitCode` and `signalCode`.
   */
  function spawn(command: string, args?: readonly string[], options?: SpawnOptions): Promise<Child>;
  function spawn(command: string, options?: SpawnOptions): Promise<Child>;

  /**
   * Open the channel to the parent, in a process that spawn() started. It can be taken once; ENOENT when there is none.
   * A `secret` is ENOTSUP.
   */
  function parent(options?: ParentOptions): Promise<Channel>;

  interface ParentOptions extends ChannelOptions {
    /** Gives up. */
    signal?: AbortSignal | undefined;
  }

  /**
   * The address of a listening socket that a service manager passed (`LISTEN_FDS`), for listen(): by its name in
   * `LISTEN_FDNAMES`, unless that is null, and by its number among those, from 0. ENOENT when there is none.
   */
  function activationAddress(name?: string | null, index?: number): string;

  /**
   * The side of a rendezvous that was told where to meet, on the plain wire: what aea's `make_ipc_channel_client` makes.
   * Both sides have these members.
   */
  class IpcChannelClient {
    /** They come from makeIpcChannelClient(). */
    protected constructor();

    /** The rendezvous point for what this side receives: the path of a FIFO, or a port. */
    readonly inPath: string;
    /** The rendezvous point for what this side sends. */
    readonly outPath: string;

    /**
     * Wait for the other side: for 10 seconds, or so many milliseconds. After a failure, it may be tried again.
     * @returns false when nobody was there in time
     */
    connect(options?: number | WaitOptions): Promise<boolean>;
    /** Send a message of at least one byte; the kernel has all of it then. ENOTCONN before connect(). */
    write(data: Data | readonly Data[]): Promise<void>;
    /**
     * Wait for a message. When it is aborted or out of time, no message was taken. ENOTCONN before connect().
     * @returns null at the end
     */
    read(options?: WaitOptions): Promise<Buffer | null>;
    /**
     * Flush, say goodbye, close, and remove what was made. The peer has a second to answer; one that does not, though
     * everything was flushed, is no error. On a side that never connected, or is closed, it only cleans up.
     */
    close(): Promise<void>;
    /** The same as close(), for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
  }

  /** The side that makes the place to meet, and serves one peer: what aea's `make_ipc_channel` makes. */
  class IpcChannel extends IpcChannelClient {
    /** They come from makeIpcChannel(). */
    protected constructor();
  }

  interface IpcOptions {
    /** Two FIFOs in a private directory, which is the default, or a port of the loopback. */
    transport?: 'fifo' | 'tcp' | undefined;
  }

  /** Make a channel that another program can find. */
  function makeIpcChannel(options?: IpcOptions): IpcChannel;
  /** Make the other side: its `inPath` is the channel's `outPath`, a path, a port or HOST:PORT. */
  function makeIpcChannelClient(inPath: string, outPath: string): IpcChannelClient;

  /** The version of the library. */
  const version: string;
}

export = ferrule;
