//! Entry points that a program linking `cust` may name, but that are not implemented: graphs, textures,
//! arrays, linking, managed and pitched memory. Each says so and returns `CUDA_ERROR_NOT_SUPPORTED`.

use super::state::{Needs, enter};
use crate::error::Code;

macro_rules! unsupported {
    ($($name:ident)*) => {
        $(
            /// Ignores its arguments: in the C calling convention the caller takes care of them.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> Code {
                enter(stringify!($name), Needs::Init, |driver| {
                    let line = concat!(stringify!($name), " is not supported");
                    driver.refuse(Code::ERROR_NOT_SUPPORTED, line)
                })
            }
        )*
    };
}

unsupported! {
    cuArray3DCreate_v2
    cuArray3DGetDescriptor_v2
    cuArrayCreate_v2
    cuArrayDestroy
    cuDestroyExternalMemory
    cuExternalMemoryGetMappedBuffer
    cuGraphAddDependencies
    cuGraphAddEmptyNode
    cuGraphAddHostNode
    cuGraphAddKernelNode
    cuGraphAddMemcpyNode
    cuGraphAddMemsetNode
    cuGraphClone
    cuGraphCreate
    cuGraphDebugDotPrint
    cuGraphDestroy
    cuGraphDestroyNode
    cuGraphExecDestroy
    cuGraphGetEdges
    cuGraphGetNodes
    cuGraphInstantiate
    cuGraphInstantiate_v2
    cuGraphKernelNodeGetParams
    cuGraphKernelNodeSetParams
    cuGraphLaunch
    cuGraphNodeGetType
    cuGraphUpload
    cuImportExternalMemory
    cuLaunchCooperativeKernel
    cuLinkAddData_v2
    cuLinkAddFile_v2
    cuLinkComplete
    cuLinkCreate_v2
    cuLinkDestroy
    cuMemAdvise
    cuMemAllocManaged
    cuMemAllocPitch_v2
    cuMemHostGetDevicePointer_v2
    cuMemPrefetchAsync
    cuMemcpy2DAsync_v2
    cuMemcpy2D_v2
    cuMemcpy3D_v2
    cuMemcpyAtoH_v2
    cuMemcpyHtoA_v2
    cuMemsetD2D32_v2
    cuMemsetD2D8_v2
    cuPointerGetAttribute
    cuStreamBeginCapture_v2
    cuStreamEndCapture
    cuStreamIsCapturing
    cuSurfObjectCreate
    cuSurfObjectDestroy
    cuSurfObjectGetResourceDesc
    cuTexObjectCreate
    cuTexObjectDestroy
    cuTexObjectGetResourceDesc
    cuTexObjectGetResourceViewDesc
    cuTexObjectGetTextureDesc
}
