"""The names that the published description of Drive API v3 knows: fields of its resources, parameters of its methods.

Names only, from the discovery document `drive.v3.json` (https://www.googleapis.com/discovery/v1/apis/drive/v3/rest).
A field is written `name`, `name:Resource` (an object, or a list of objects, with fields of its own) or `name:*` (an
object with any fields). Long because the description knows many names.
"""

_FIELDS = {
    "About": """
        appInstalled canCreateDrives canCreateTeamDrives driveThemes:About.driveThemes exportFormats:*
        folderColorPalette importFormats:* kind maxImportSizes:* maxUploadSize storageQuota:About.storageQuota
        teamDriveThemes:About.teamDriveThemes user:User
    """,
    "File": """
        appProperties:* capabilities:File.capabilities clientEncryptionDetails:ClientEncryptionDetails
        contentHints:File.contentHints contentRestrictions:ContentRestriction copyRequiresWriterPermission
        createdTime description downloadRestrictions:DownloadRestrictionsMetadata driveId explicitlyTrashed
        exportLinks:* fileExtension folderColorRgb fullFileExtension hasAugmentedPermissions hasThumbnail
        headRevisionId iconLink id imageMediaMetadata:File.imageMediaMetadata inheritedPermissionsDisabled
        isAppAuthorized kind labelInfo:File.labelInfo lastModifyingUser:User
        linkShareMetadata:File.linkShareMetadata md5Checksum mimeType modifiedByMe modifiedByMeTime modifiedTime
        name originalFilename ownedByMe owners:User parents permissionIds permissions:Permission properties:*
        quotaBytesUsed resourceKey sha1Checksum sha256Checksum shared sharedWithMeTime sharingUser:User
        shortcutDetails:File.shortcutDetails size spaces starred teamDriveId thumbnailLink thumbnailVersion trashed
        trashedTime trashingUser:User version videoMediaMetadata:File.videoMediaMetadata viewedByMe viewedByMeTime
        viewersCanCopyContent webContentLink webViewLink writersCanShare
    """,
    "FileList": """
        files:File incompleteSearch kind nextPageToken
    """,
    "Drive": """
        backgroundImageFile:Drive.backgroundImageFile backgroundImageLink capabilities:Drive.capabilities colorRgb
        createdTime hidden id kind name orgUnitId restrictions:Drive.restrictions themeId
    """,
    "DriveList": """
        drives:Drive kind nextPageToken
    """,
    "Change": """
        changeType drive:Drive driveId file:File fileId kind removed teamDrive:TeamDrive teamDriveId time type
    """,
    "ChangeList": """
        changes:Change kind newStartPageToken nextPageToken
    """,
    "Revision": """
        exportLinks:* id keepForever kind lastModifyingUser:User md5Checksum mimeType modifiedTime originalFilename
        publishAuto published publishedLink publishedOutsideDomain size
    """,
    "RevisionList": """
        kind nextPageToken revisions:Revision
    """,
    "StartPageToken": """
        kind startPageToken
    """,
    "GeneratedIds": """
        ids kind space
    """,
    "User": """
        displayName emailAddress kind me permissionId photoLink
    """,
    "Permission": """
        allowFileDiscovery deleted displayName domain emailAddress expirationTime id inheritedPermissionsDisabled
        kind pendingOwner permissionDetails:Permission.permissionDetails photoLink role
        teamDrivePermissionDetails:Permission.teamDrivePermissionDetails type view
    """,
    "ContentRestriction": """
        ownerRestricted readOnly reason restrictingUser:User restrictionTime systemRestricted type
    """,
    "DownloadRestrictionsMetadata": """
        effectiveDownloadRestrictionWithContext:* itemDownloadRestriction:*
    """,
    "ClientEncryptionDetails": """
        decryptionMetadata:* encryptionState
    """,
    "TeamDrive": """
        backgroundImageFile:TeamDrive.backgroundImageFile backgroundImageLink capabilities:TeamDrive.capabilities
        colorRgb createdTime id kind name orgUnitId restrictions:TeamDrive.restrictions themeId
    """,
    "About.driveThemes": """
        backgroundImageLink colorRgb id
    """,
    "About.storageQuota": """
        limit usage usageInDrive usageInDriveTrash
    """,
    "About.teamDriveThemes": """
        backgroundImageLink colorRgb id
    """,
    "File.capabilities": """
        canAcceptOwnership canAccessViaGenAi canAddChildren canAddFolderFromAnotherDrive canAddMyDriveParent
        canChangeCopyRequiresWriterPermission canChangeItemDownloadRestriction canChangeSecurityUpdateEnabled
        canChangeViewersCanCopyContent canComment canCopy canDelete canDeleteChildren canDisableInheritedPermissions
        canDownload canEdit canEnableInheritedPermissions canListChildren canModifyContent
        canModifyContentRestriction canModifyEditorContentRestriction canModifyLabels
        canModifyOwnerContentRestriction canMoveChildrenOutOfDrive canMoveChildrenOutOfTeamDrive
        canMoveChildrenWithinDrive canMoveChildrenWithinTeamDrive canMoveItemIntoTeamDrive canMoveItemOutOfDrive
        canMoveItemOutOfTeamDrive canMoveItemWithinDrive canMoveItemWithinTeamDrive canMoveTeamDriveItem
        canReadDrive canReadLabels canReadRevisions canReadTeamDrive canRemoveChildren canRemoveContentRestriction
        canRemoveMyDriveParent canRename canShare canStartApproval canTrash canTrashChildren canUntrash
    """,
    "File.contentHints.thumbnail": """
        image mimeType
    """,
    "File.contentHints": """
        indexableText thumbnail:File.contentHints.thumbnail
    """,
    "File.imageMediaMetadata.location": """
        altitude latitude longitude
    """,
    "File.imageMediaMetadata": """
        aperture cameraMake cameraModel colorSpace exposureBias exposureMode exposureTime flashUsed focalLength
        height isoSpeed lens location:File.imageMediaMetadata.location maxApertureValue meteringMode rotation sensor
        subjectDistance time whiteBalance width
    """,
    "File.labelInfo": """
        labels:*
    """,
    "File.linkShareMetadata": """
        securityUpdateEligible securityUpdateEnabled
    """,
    "File.shortcutDetails": """
        targetId targetMimeType targetResourceKey
    """,
    "File.videoMediaMetadata": """
        durationMillis height width
    """,
    "Drive.backgroundImageFile": """
        id width xCoordinate yCoordinate
    """,
    "Drive.capabilities": """
        canAddChildren canChangeCopyRequiresWriterPermissionRestriction canChangeDomainUsersOnlyRestriction
        canChangeDownloadRestriction canChangeDriveBackground canChangeDriveMembersOnlyRestriction
        canChangeSharingFoldersRequiresOrganizerPermissionRestriction canComment canCopy canDeleteChildren
        canDeleteDrive canDownload canEdit canListChildren canManageMembers canReadRevisions canRename
        canRenameDrive canResetDriveRestrictions canShare canTrashChildren
    """,
    "Drive.restrictions": """
        adminManagedRestrictions copyRequiresWriterPermission domainUsersOnly downloadRestriction:* driveMembersOnly
        sharingFoldersRequiresOrganizerPermission
    """,
    "Permission.permissionDetails": """
        inherited inheritedFrom permissionType role
    """,
    "Permission.teamDrivePermissionDetails": """
        inherited inheritedFrom role teamDrivePermissionType
    """,
    "TeamDrive.backgroundImageFile": """
        id width xCoordinate yCoordinate
    """,
    "TeamDrive.capabilities": """
        canAddChildren canChangeCopyRequiresWriterPermissionRestriction canChangeDomainUsersOnlyRestriction
        canChangeDownloadRestriction canChangeSharingFoldersRequiresOrganizerPermissionRestriction
        canChangeTeamDriveBackground canChangeTeamMembersOnlyRestriction canComment canCopy canDeleteChildren
        canDeleteTeamDrive canDownload canEdit canListChildren canManageMembers canReadRevisions canRemoveChildren
        canRename canRenameTeamDrive canResetTeamDriveRestrictions canShare canTrashChildren
    """,
    "TeamDrive.restrictions": """
        adminManagedRestrictions copyRequiresWriterPermission domainUsersOnly downloadRestriction:*
        sharingFoldersRequiresOrganizerPermission teamMembersOnly
    """,
}
_PARAMETERS = {
    "about.get": "",
    "files.list": """
        corpora corpus driveId includeItemsFromAllDrives includeLabels includePermissionsForView
        includeTeamDriveItems orderBy pageSize pageToken q spaces supportsAllDrives supportsTeamDrives teamDriveId
    """,
    "files.get": """
        acknowledgeAbuse includeLabels includePermissionsForView supportsAllDrives supportsTeamDrives
    """,
    "files.create": """
        enforceSingleParent ignoreDefaultVisibility includeLabels includePermissionsForView keepRevisionForever
        ocrLanguage supportsAllDrives supportsTeamDrives useContentAsIndexableText
    """,
    "files.update": """
        addParents enforceSingleParent includeLabels includePermissionsForView keepRevisionForever ocrLanguage
        removeParents supportsAllDrives supportsTeamDrives useContentAsIndexableText
    """,
    "files.copy": """
        copyComments enforceSingleParent ignoreDefaultVisibility includeLabels includePermissionsForView
        keepRevisionForever ocrLanguage supportsAllDrives supportsTeamDrives
    """,
    "files.delete": "enforceSingleParent supportsAllDrives supportsTeamDrives",
    "files.export": "mimeType",
    "files.generateIds": "count space type",
    "files.emptyTrash": "driveId enforceSingleParent",
    "changes.getStartPageToken": "driveId supportsAllDrives supportsTeamDrives teamDriveId",
    "changes.list": """
        driveId includeCorpusRemovals includeItemsFromAllDrives includeLabels includePermissionsForView
        includeRemoved includeTeamDriveItems pageSize pageToken restrictToMyDrive spaces supportsAllDrives
        supportsTeamDrives teamDriveId
    """,
    "drives.list": "pageSize pageToken q useDomainAdminAccess",
    "drives.get": "useDomainAdminAccess",
    "revisions.list": "pageSize pageToken",
    "revisions.get": "acknowledgeAbuse",
    "revisions.update": "",
    "revisions.delete": "",
}
_GLOBAL_PARAMETERS = """
    $.xgafv access_token alt callback fields key oauth_token prettyPrint quotaUser uploadType upload_protocol
"""
_WRITABLE = """
    appProperties contentHints contentRestrictions copyRequiresWriterPermission description downloadRestrictions
    folderColorRgb inheritedPermissionsDisabled mimeType modifiedTime name originalFilename properties starred trashed
    viewedByMeTime viewersCanCopyContent writersCanShare
"""
_WRITABLE_AT_CREATION = "id parents createdTime shortcutDetails"
GLOBAL_PARAMETERS = frozenset(_GLOBAL_PARAMETERS.split())
"""Parameters of every method."""
FIELDS: dict[str, dict[str, str]] = {
    resource: {name: kind for name, _, kind in (word.partition(":") for word in words.split())}
    for resource, words in _FIELDS.items()
}
"""The fields of each resource: name to the resource of its value, `*` or nothing."""
PARAMETERS: dict[str, frozenset[str]] = {method: frozenset(words.split()) for method, words in _PARAMETERS.items()}
"""The query parameters of each method."""
WRITABLE = frozenset(_WRITABLE.split())
"""The fields of a file that a request may set."""
WRITABLE_AT_CREATION = WRITABLE | frozenset(_WRITABLE_AT_CREATION.split())
"""Those that the creation may set."""
