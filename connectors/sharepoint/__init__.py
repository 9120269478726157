"""SharePoint document libraries and OneDrive for work or school, over Microsoft Graph."""
