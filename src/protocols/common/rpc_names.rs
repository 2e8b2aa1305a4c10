//! Names of DCE/RPC interfaces that matter in an intrusion, and of their operations (Microsoft's open specifications, MS-SCMR, MS-TSCH,
//! MS-SAMR, MS-LSAD, MS-DRSR, MS-SRVS, MS-RRP, MS-NRPC, MS-EFSR, MS-RPRN, MS-DCOM, MS-WMI, MS-WKST, MS-PAR).

/// An interface: its number as text, its name, operations by number.
pub type Interface = (&'static str, &'static str, &'static [(u16, &'static str)]);

/// The interfaces.
pub const INTERFACES: &[Interface] = &[
    ("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "epmapper", &[(2, "lookup"), (3, "map")]),
    (
        "367abb81-9844-35f1-ad32-98f038001003",
        "svcctl",
        &[
            (0, "CloseServiceHandle"),
            (1, "ControlService"),
            (2, "DeleteService"),
            (11, "ChangeServiceConfigW"),
            (12, "CreateServiceW"),
            (14, "EnumServicesStatusW"),
            (15, "OpenSCManagerW"),
            (16, "OpenServiceW"),
            (17, "QueryServiceConfigW"),
            (19, "StartServiceW"),
            (24, "CreateServiceA"),
            (27, "OpenSCManagerA"),
            (28, "OpenServiceA"),
            (31, "StartServiceA"),
            (44, "CreateServiceWOW64A"),
            (45, "CreateServiceWOW64W"),
        ],
    ),
    ("1ff70682-0a51-30e8-076d-740be8cee98b", "atsvc", &[(0, "JobAdd"), (1, "JobDel"), (2, "JobEnum"), (3, "JobGetInfo")]),
    (
        "86d35949-83c9-4044-b424-db363231fd0c",
        "ITaskSchedulerService",
        &[
            (1, "SchRpcRegisterTask"),
            (2, "SchRpcRetrieveTask"),
            (6, "SchRpcEnumFolders"),
            (7, "SchRpcEnumTasks"),
            (12, "SchRpcRun"),
            (13, "SchRpcDelete"),
        ],
    ),
    (
        "12345778-1234-abcd-ef00-0123456789ac",
        "samr",
        &[
            (5, "SamrLookupDomain"),
            (6, "SamrEnumerateDomains"),
            (7, "SamrOpenDomain"),
            (11, "SamrEnumerateGroups"),
            (13, "SamrEnumerateUsers"),
            (15, "SamrEnumerateAliases"),
            (17, "SamrLookupNames"),
            (18, "SamrLookupIds"),
            (34, "SamrOpenUser"),
            (36, "SamrQueryUser"),
            (37, "SamrSetUser"),
            (50, "SamrCreateUser2"),
            (55, "SamrChangePassword2"),
            (58, "SamrSetUser2"),
            (64, "SamrConnect5"),
        ],
    ),
    (
        "12345778-1234-abcd-ef00-0123456789ab",
        "lsarpc",
        &[
            (0, "LsarClose"),
            (6, "LsarOpenPolicy"),
            (7, "LsarQueryPolicy"),
            (13, "LsarEnumerateTrustedDomains"),
            (14, "LsarLookupNames"),
            (15, "LsarLookupSids"),
            (42, "LsarRetrievePrivateData"),
            (44, "LsarOpenPolicy2"),
            (57, "LsarLookupSids2"),
            (68, "LsarLookupNames3"),
            (76, "LsarLookupSids3"),
        ],
    ),
    (
        "e3514235-4b06-11d1-ab04-00c04fc2dcd2",
        "drsuapi",
        &[
            (0, "DRSBind"),
            (1, "DRSUnbind"),
            (3, "DRSGetNCChanges"),
            (5, "DRSReplicaAdd"),
            (12, "DRSCrackNames"),
            (16, "DRSDomainControllerInfo"),
        ],
    ),
    (
        "4b324fc8-1670-01d3-1278-5a47bf6ee188",
        "srvsvc",
        &[
            (12, "NetrSessionEnum"),
            (14, "NetrShareAdd"),
            (15, "NetrShareEnum"),
            (16, "NetrShareGetInfo"),
            (18, "NetrShareDel"),
            (21, "NetrServerGetInfo"),
            (28, "NetrRemoteTOD"),
        ],
    ),
    (
        "6bffd098-a112-3610-9833-46c3f87e345a",
        "wkssvc",
        &[(0, "NetrWkstaGetInfo"), (2, "NetrWkstaUserEnum"), (22, "NetrJoinDomain2")],
    ),
    (
        "338cd001-2244-31f1-aaaa-900038001003",
        "winreg",
        &[
            (2, "OpenLocalMachine"),
            (4, "OpenUsers"),
            (6, "BaseRegCreateKey"),
            (7, "BaseRegDeleteKey"),
            (9, "BaseRegEnumKey"),
            (15, "BaseRegOpenKey"),
            (17, "BaseRegQueryValue"),
            (20, "BaseRegSaveKey"),
            (22, "BaseRegSetValue"),
        ],
    ),
    (
        "12345678-1234-abcd-ef00-01234567cffb",
        "netlogon",
        &[
            (2, "NetrLogonSamLogon"),
            (4, "NetrServerReqChallenge"),
            (15, "NetrServerAuthenticate2"),
            (26, "NetrServerAuthenticate3"),
            (30, "NetrServerPasswordSet2"),
            (39, "NetrLogonSamLogonEx"),
            (40, "DsrEnumerateDomainTrusts"),
        ],
    ),
    (
        "c681d488-d850-11d0-8c52-00c04fd90f7e",
        "efsrpc",
        &[(0, "EfsRpcOpenFileRaw"), (4, "EfsRpcEncryptFileSrv"), (5, "EfsRpcDecryptFileSrv")],
    ),
    (
        "df1941c5-fe89-4e79-bf10-463657acf44d",
        "efsrpc",
        &[(0, "EfsRpcOpenFileRaw"), (4, "EfsRpcEncryptFileSrv"), (5, "EfsRpcDecryptFileSrv")],
    ),
    (
        "12345678-1234-abcd-ef00-0123456789ab",
        "spoolss",
        &[
            (1, "RpcOpenPrinter"),
            (9, "RpcAddPrinterDriver"),
            (65, "RpcRemoteFindFirstPrinterChangeNotificationEx"),
            (69, "RpcOpenPrinterEx"),
            (89, "RpcAddPrinterDriverEx"),
        ],
    ),
    ("76f03f96-cdfd-44fc-a22c-64950a001209", "IRemoteWinspool", &[(39, "RpcAsyncAddPrinterDriver")]),
    ("000001a0-0000-0000-c000-000000000046", "ISystemActivator", &[(3, "RemoteGetClassObject"), (4, "RemoteCreateInstance")]),
    ("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", "IActivation", &[(0, "RemoteActivation")]),
    ("99fcfec4-5260-101b-bbcb-00aa0021347a", "IObjectExporter", &[(0, "ResolveOxid"), (3, "ServerAlive"), (5, "ServerAlive2")]),
    ("00000143-0000-0000-c000-000000000046", "IRemUnknown2", &[(3, "RemQueryInterface"), (4, "RemAddRef"), (5, "RemRelease")]),
    ("00000131-0000-0000-c000-000000000046", "IRemUnknown", &[(3, "RemQueryInterface"), (4, "RemAddRef"), (5, "RemRelease")]),
    ("f309ad18-d86a-11d0-a075-00c04fb68820", "IWbemLevel1Login", &[(3, "EstablishPosition"), (6, "NTLMLogin")]),
    ("9556dc99-828c-11cf-a37e-00aa003240c7", "IWbemServices", &[(6, "GetObject"), (20, "ExecQuery"), (24, "ExecMethod")]),
    ("afa8bd80-7d8a-11c9-bef4-08002b102989", "mgmt", &[(0, "inq_if_ids")]),
    ("3919286a-b10c-11d0-9ba8-00c04fd92ef5", "dssetup", &[(0, "DsRolerGetPrimaryDomainInformation")]),
    ("894de0c0-0d55-11d3-a322-00c04fa321a1", "InitShutdown", &[(0, "BaseInitiateShutdown"), (2, "BaseInitiateShutdownEx")]),
];

/// An interface by its 16 bytes, in the order of a little-endian sender: its number as text, and its row if it is known.
pub fn interface(bytes: &[u8; 16]) -> (String, Option<&'static Interface>) {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let tail: String = rest.iter().map(|b| format!("{b:02x}")).collect();
    let (node, clock) = (tail.get(4..).unwrap_or_default(), tail.get(..4).unwrap_or_default());
    let text = format!("{d:02x}{c:02x}{b:02x}{a:02x}-{f:02x}{e:02x}-{h:02x}{g:02x}-{clock}-{node}");
    let row = INTERFACES.iter().find(|i| i.0 == text);
    (text, row)
}
