import ferrule = require('./index.js');

export import Channel = ferrule.Channel;
export import Pipe = ferrule.Pipe;
export import ReceivedHandle = ferrule.ReceivedHandle;
export import Server = ferrule.Server;
export import TCP = ferrule.TCP;
export import UDP = ferrule.UDP;
export import connect = ferrule.connect;
export import listen = ferrule.listen;
export import pair = ferrule.pair;
export import version = ferrule.version;

export type Data = ferrule.Data;
export type PipeName = ferrule.PipeName;
export type FerruleError = ferrule.FerruleError;
export type ChannelOptions = ferrule.ChannelOptions;
export type ConnectOptions = ferrule.ConnectOptions;
export type ListenOptions = ferrule.ListenOptions;
export type WaitOptions = ferrule.WaitOptions;
export type ChannelInfo = ferrule.ChannelInfo;
export type Message = ferrule.Message;
export type SendOptions = ferrule.SendOptions;
export type ChannelEvents = ferrule.ChannelEvents;
export type ChannelHandler = ferrule.ChannelHandler;
export type PipeOptions = ferrule.PipeOptions;
export type StreamOptions = ferrule.StreamOptions;
export type BindOptions = ferrule.BindOptions;
export type InetBindOptions = ferrule.InetBindOptions;
export type PassOptions = ferrule.PassOptions;
export type Passable = ferrule.Passable;
export type HandleType = ferrule.HandleType;
export type InetAddress = ferrule.InetAddress;
export type Credentials = ferrule.Credentials;
export type DatagramInfo = ferrule.DatagramInfo;
export type Stream = ferrule.Stream;

export default ferrule;
