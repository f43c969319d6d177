/**
 * Ferrule: pipes and channels between processes on one machine.
 *
 * This header includes the whole public interface, except ferrule/uv.h, which is for programs
 * that already run a libuv loop.
 */
#ifndef FERRULE_H
#define FERRULE_H

#include "ferrule/channel.h"
#include "ferrule/export.h"
#include "ferrule/handle.h"
#include "ferrule/info.h"
#include "ferrule/ipc.h"
#include "ferrule/loop.h"
#include "ferrule/message.h"
#include "ferrule/parent.h"
#include "ferrule/pipe.h"
#include "ferrule/server.h"
#include "ferrule/status.h"
#include "ferrule/stream.h"
#include "ferrule/sync.h"
#include "ferrule/tcp.h"
#include "ferrule/timer.h"
#include "ferrule/types.h"
#include "ferrule/udp.h"
#include "ferrule/version.h"

#endif
