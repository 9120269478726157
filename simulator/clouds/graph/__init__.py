"""A stand-in of Microsoft Graph: sign-in, OneDrive and SharePoint document libraries."""
